"""What the worker learns of the trainer."""

from __future__ import annotations

import subprocess
import sys

from mistudio_runtime.queues import load_queues
from mistudio_trainer.service import service


def test_every_declared_job_kind_has_its_handler() -> None:
    declared = {kind for queue in load_queues().queues_of("trainer") for kind in queue.job_kinds}

    assert {handler.kind for handler in service.handlers} == declared
    assert all(callable(handler.load()) for handler in service.handlers)
    assert {handler.isolation for handler in service.handlers} == {"process"}


def test_a_worker_starts_without_torch() -> None:
    code = "import sys, mistudio_trainer.service; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
