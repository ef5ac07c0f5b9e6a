"""Every test trains on one thread, so that results do not depend on the machine's load."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.workshop import Workshop


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)


@pytest.fixture
def workshop(home: Path) -> Workshop:
    return Workshop(home)
