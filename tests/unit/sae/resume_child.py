"""A training run in a process of its own: `resume_child.py TOKENS CHECKPOINTS METRICS STOP_AT_TOKENS`.

Prints each step's tokens, appends every metric point to METRICS, and pauses at STOP_AT_TOKENS with a checkpoint.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from recording import RecordingReporter
from tiny import D_MODEL, language_model

from mistudio_sae.models import HookPoint
from mistudio_sae.reporting import Stopped, StopRequest
from mistudio_sae.saes import SaeConfig
from mistudio_sae.tokens import TokensReader
from mistudio_sae.training import TrainingConfig, train

HOOK = HookPoint.parse("layer.1.resid_post")
SAES = (
    SaeConfig("topk", D_MODEL, 128, k=4, dead_window_tokens=200),
    SaeConfig("standard", D_MODEL, 64, l1_coefficient=0.3),
    SaeConfig("standard", D_MODEL, 64, learning_rate=1e30),  # is stopped in its first steps
    SaeConfig("topk", D_MODEL, 64, k=4, learning_rate=1.0),  # explodes later, and goes back to a checkpoint
    SaeConfig("gated", D_MODEL, 64, l1_coefficient=0.3),
    SaeConfig("batchtopk", D_MODEL, 64, k=4),
    SaeConfig("jumprelu", D_MODEL, 64, bandwidth=0.5, initial_threshold=0.5),
    SaeConfig("matryoshka", D_MODEL, 64, k=4),
)
CONFIG = TrainingConfig(
    total_tokens=64 * 200,
    batch_tokens=64,
    buffer_tokens=512,
    checkpoint_every_tokens=64 * 20,
    evaluate_every_tokens=64 * 30,
    evaluation_tokens=128,
    log_every_steps=1,
    warmup_fraction=0.4,
    explosion_multiple=1.4,
)


class PrintingReporter(RecordingReporter):
    metrics_file: Path

    def progress(self, stage: str, done: int, total: int, unit: str) -> None:
        super().progress(stage, done, total, unit)
        if stage == "train":
            print(done, flush=True)  # noqa: T201 - how the parent knows when to kill

    def metric(self, name: str, value: float, step: int, tokens: int, labels: Mapping[str, str]) -> None:
        with self.metrics_file.open("a") as file:
            file.write(json.dumps([name, labels["sae"], step, value]) + "\n")


def main(tokens: str, checkpoints: str, metrics: str, stop_at: str) -> None:
    torch.set_num_threads(1)
    reporter = PrintingReporter(StopRequest.PAUSE, stop_at_tokens=int(stop_at))
    reporter.metrics_file = Path(metrics)
    try:
        train(language_model(), TokensReader.open(tokens), (HOOK,), SAES, CONFIG, Path(checkpoints), reporter)
    except Stopped:
        print("paused", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
