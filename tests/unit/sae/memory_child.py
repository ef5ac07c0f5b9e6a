"""A process whose memory really is too small for what it is asked: `memory_child.py TASK FOLDER`; answers in JSON."""

import json
import resource
import sys
from pathlib import Path

import torch
from recording import RecordingReporter
from tiny import D_MODEL, language_model, write_tokens

from mistudio_sae.errors import OutOfMemoryError
from mistudio_sae.models import HookPoint
from mistudio_sae.reporting import Stopped, StopRequest
from mistudio_sae.saes import Sae, SaeConfig, build_sae
from mistudio_sae.training import TrainedSae, TrainingConfig, train
from mistudio_sae.training.micro_batches import MicroBatches

HOOK = HookPoint.parse("layer.1.resid_post")
WIDE = SaeConfig("standard", D_MODEL, 8192)
CONFIG = TrainingConfig(total_tokens=2048 * 6, batch_tokens=2048, buffer_tokens=4096, evaluation_tokens=0)
STOP_AT = 2048 * 4


def leave(mebibytes: int) -> None:
    """Let this process take so much memory more than it has now."""
    status = Path("/proc/self/status").read_text().splitlines()
    used = next(int(line.split()[1]) for line in status if line.startswith("VmSize")) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (used + mebibytes * 2**20, resource.RLIM_INFINITY))


def leave_everything() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def one_step(sae: Sae, x: torch.Tensor) -> MicroBatches:
    micro = MicroBatches()
    micro.backward(sae, x, x, torch.zeros(sae.config.d_sae, dtype=torch.bool), 1.0)
    return micro


def step() -> dict[str, object]:
    config = SaeConfig("standard", 8, 8192)
    x = torch.randn(2048, 8, generator=torch.Generator().manual_seed(1))
    whole, split = (build_sae(config, torch.Generator().manual_seed(0)) for _ in range(2))
    one_step(whole, x)
    leave(100)
    parts = one_step(split, x).parts
    leave_everything()
    pairs = [(one.grad, other.grad) for one, other in zip(whole.parameters(), split.parameters(), strict=True)]
    close = all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in pairs if a is not None and b is not None)
    return {"parts": parts, "close": close}


def too_large() -> dict[str, object]:
    sae = build_sae(SaeConfig("standard", 4, 65_536), torch.Generator().manual_seed(0))
    x = torch.randn(16_384, 4)
    leave(120)
    try:
        one_step(sae, x)
    except OutOfMemoryError as error:
        leave_everything()
        return {"error": str(error)}
    raise AssertionError("it did fit")


class Stingy(RecordingReporter):
    """Leaves little memory once the first step is done."""

    def progress(self, stage: str, done: int, total: int, unit: str) -> None:
        super().progress(stage, done, total, unit)
        if stage == "train" and done == 2048:
            leave(100)


def run(folder: Path) -> dict[str, object]:
    lm, tokens = language_model(), write_tokens(folder / "tokens", blocks=512)

    def trained(name: str, reporter: RecordingReporter) -> TrainedSae:
        return train(lm, tokens, (HOOK,), (WIDE,), CONFIG, folder / name, reporter)[0]

    whole = trained("whole", RecordingReporter())
    pressed, after = Stingy(StopRequest.PAUSE, stop_at_tokens=STOP_AT), RecordingReporter()
    try:
        trained("pressed", pressed)
    except Stopped:
        leave_everything()
    state = json.loads(next((folder / "pressed").glob("step-*/state.json")).read_text())
    resumed = trained("pressed", after)
    close = abs(resumed.metrics["loss"] / whole.metrics["loss"] - 1) < 1e-4
    parts = state["standings"][0]["parts"]
    return {"parts": parts, "close": close, "logs": pressed.logs, "resumed_logs": after.logs}


if __name__ == "__main__":
    torch.set_num_threads(1)
    tasks = {"step": step, "too_large": too_large, "run": lambda: run(Path(sys.argv[2]))}
    print(json.dumps(tasks[sys.argv[1]]()))  # noqa: T201 - how the parent hears of it
