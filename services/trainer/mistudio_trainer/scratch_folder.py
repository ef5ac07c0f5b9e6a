"""What a training job keeps between attempts."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from mistudio.v1 import TrainSae
from mistudio_trainer.metrics_log import LOG_NAME
from mistudio_trainer.tensorboard_sink import TENSORBOARD_FOLDER

_SPEC = "spec.sha256"


class ScratchFolder:
    """Checkpoints and metrics of the job's earlier attempts, as long as they had the same spec."""

    def __init__(self, folder: Path, spec: TrainSae) -> None:
        """Takes the folder; a retry with changed parameters begins anew."""
        self.checkpoints = folder / "checkpoints"
        self.metrics = folder / LOG_NAME
        self.folder = folder
        self.tensorboard = folder / TENSORBOARD_FOLDER
        self.wandb_cursor = folder / "wandb.json"
        digest = hashlib.sha256(spec.SerializeToString(deterministic=True)).hexdigest()
        mark = folder / _SPEC
        if not mark.exists() or mark.read_text(encoding="ascii") != digest:
            shutil.rmtree(self.checkpoints, ignore_errors=True)
            shutil.rmtree(self.tensorboard, ignore_errors=True)
            self.metrics.unlink(missing_ok=True)
            self.wandb_cursor.unlink(missing_ok=True)
            mark.write_text(digest, encoding="ascii")
