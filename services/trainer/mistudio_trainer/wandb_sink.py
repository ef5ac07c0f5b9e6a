"""Weights & Biases, fed by a process of its own that follows the job's log of metrics."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from tempfile import TemporaryFile

from google.protobuf.json_format import MessageToDict

from mistudio.v1 import MetricPoint, TrainSae
from mistudio_runtime.jobs import JobContext
from mistudio_trainer.scratch_folder import ScratchFolder

_PATIENCE = 60.0
"""Seconds that the end of a training waits for the last points to leave."""
_COMPLETE = b"complete\n"


class WandbSink:
    """Starts and ends the follower. Training shares nothing with it but the log, so the network cannot hold it up."""

    def __init__(self, scratch: ScratchFolder, spec: TrainSae, context: JobContext) -> None:
        """Starts the follower. The key stays in the environment, which it inherits."""
        self._log = context.log
        order = {
            "project": spec.wandb_project,
            "job_id": context.job_id,
            "log": str(scratch.metrics),
            "cursor": str(scratch.wandb_cursor),
            "folder": os.environ.get("WANDB_DIR") or str(scratch.folder),
            "spec": MessageToDict(spec, preserving_proto_field_name=True),
        }
        if os.environ.get("WANDB_MODE") == "offline" and not os.environ.get("WANDB_DIR"):
            self._log(
                "warning", "WANDB_DIR is not set: offline runs of Weights & Biases go with the job's scratch folder"
            )
        self._complaint = TemporaryFile()  # noqa: SIM115 - lives as long as the follower
        self._follower: subprocess.Popen[bytes] | None = None
        try:
            self._follower = subprocess.Popen(  # noqa: S603 - ourselves, without a shell
                [sys.executable, "-m", "mistudio_trainer.wandb_follower", json.dumps(order)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._complaint,
            )
        except OSError as error:
            self._warn(str(error))

    def append(self, point: MetricPoint) -> None:
        """Does nothing: the follower reads the log."""

    def close(self, *, complete: bool) -> None:
        """Lets the follower hand over what is left, for a minute at most; says in one warning what went wrong."""
        if self._follower is None:
            return
        try:
            with contextlib.suppress(BrokenPipeError):
                self._follower.communicate(_COMPLETE if complete else b"", timeout=_PATIENCE if complete else 1.0)
        except subprocess.TimeoutExpired:
            self._follower.kill()
            self._follower.wait()
            if complete:
                self._warn(f"the last points did not leave within {_PATIENCE:.0f} s")
        else:
            if self._follower.wait():
                self._complaint.seek(0)
                self._warn(_last_line(self._complaint.read().decode("utf-8", "replace")))
        self._complaint.close()

    def _warn(self, what: str) -> None:
        self._log("warning", f"Weights & Biases did not get all metrics: {what}; the artifact has them all")


def _last_line(text: str) -> str:
    """Returns the last line that was written, without the key should it stand there."""
    lines = [line for line in text.splitlines() if line.strip()]
    line = lines[-1] if lines else "its process ended"
    key = os.environ.get("WANDB_API_KEY")
    return (line.replace(key, "***") if key else line)[:300]
