"""Checkpoints on disk: complete or absent, verified on load."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from mistudio_sae.errors import CheckpointError

_TENSORS, _STATE, _MANIFEST = "tensors.safetensors", "state.json", "manifest.json"
_PREFIX, _TEMPORARY = "step-", ".writing-"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after `step` steps."""

    step: int
    """Optimizer steps taken."""
    identity: Mapping[str, Any]
    """What the run was asked to do, as plain JSON values; a checkpoint resumes only the run that has the same."""
    metrics: list[dict[str, float]]
    """The last training metrics of each SAE."""
    tensors: Mapping[str, Tensor]
    """Everything else, by name."""
    standings: Sequence[Mapping[str, Any]] = ()
    """What is remembered of each SAE besides tensors, as plain JSON values."""
    score: tuple[str, float] | None = None
    """How good the SAEs were: the name of what was measured, and its value, the lower the better."""


def save_checkpoint(
    folder: Path, checkpoint: Checkpoint, *, keep: int, keep_best: bool = False, needed: Collection[int] = ()
) -> Path:
    """Write `folder`/step-<n> and delete checkpoints that are not to be kept; returns its path.

    Kept are the newest `keep`, those of the steps `needed` and, with `keep_best`, that of the lowest score. One is
    written under another name, synced to disk and renamed, so a crash leaves the former ones as they were.
    Raises CheckpointError when it cannot be written, after taking away what was half done.
    """
    final = folder / _named(checkpoint.step)
    temporary = folder / f"{_TEMPORARY}{final.name}"
    try:
        # A crash in the middle of a save leaves its half here.
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        _write(temporary, checkpoint)
        if final.exists():
            shutil.rmtree(final)
        temporary.rename(final)
        _sync(folder)
    except (OSError, SafetensorError) as err:
        shutil.rmtree(temporary, ignore_errors=True)
        raise CheckpointError(f"{final} cannot be written ({err}); free some space there.") from err
    spared = {_named(step) for step in needed} | ({_best(folder, checkpoint)} if keep_best else set())
    for old in _newest_first(folder)[keep:]:
        if old.name not in spared:
            shutil.rmtree(old, ignore_errors=True)
    return final


def load_latest(folder: Path, identity: Mapping[str, Any], warn: Callable[[str], None]) -> Checkpoint | None:
    """Return the newest undamaged checkpoint of `folder`, or None without one; `warn` hears of each damaged one.

    Raises CheckpointError when it belongs to another run, naming the first difference.
    """
    for path in _newest_first(folder):
        try:
            checkpoint = _read(path)
        except (OSError, ValueError, KeyError, SafetensorError) as err:
            warn(f"checkpoint {path.name} is damaged ({err}); using the one before it")
            continue
        _check_identity(path, checkpoint.identity, identity)
        return checkpoint
    return None


def load_part(folder: Path, step: int, prefix: str) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """Return the tensors of the checkpoint of `step` whose names begin with `prefix`, without it, and the standings.

    Raises CheckpointError when it is missing or damaged.
    """
    path = folder / _named(step)
    try:
        state = _read_state(path)
        with safe_open(path / _TENSORS, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 - it is no mapping
            tensors = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    except (OSError, ValueError, KeyError, SafetensorError) as err:
        raise CheckpointError(f"checkpoint {path.name} cannot be read ({err}).") from err
    return tensors, state["standings"]


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    contiguous = {name: value.detach().contiguous() for name, value in checkpoint.tensors.items()}
    save_file(contiguous, folder / _TENSORS)
    fields = ("step", "identity", "metrics", "standings", "score")
    _dump(folder / _STATE, {name: getattr(checkpoint, name) for name in fields})
    _dump(folder / _MANIFEST, {name: _sha256(folder / name) for name in (_TENSORS, _STATE)})
    for name in (_TENSORS, _STATE, _MANIFEST):
        _sync(folder / name)
    _sync(folder)


def _read(path: Path) -> Checkpoint:
    state = _read_state(path)
    score = None if state["score"] is None else (state["score"][0], state["score"][1])
    tensors = load_file(path / _TENSORS)
    return Checkpoint(state["step"], state["identity"], state["metrics"], tensors, state["standings"], score)


def _read_state(path: Path) -> dict[str, Any]:
    """Return the state of an undamaged checkpoint; raises ValueError when a checksum does not match."""
    manifest = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
    for name in (_TENSORS, _STATE):
        if _sha256(path / name) != manifest[name]:
            raise ValueError(f"the checksum of {name} does not match")
    state: dict[str, Any] = json.loads((path / _STATE).read_text(encoding="utf-8"))
    return state


def _best(folder: Path, newest: Checkpoint) -> str:
    """Return the name of the checkpoint with the lowest score of the kind that the newest has; the oldest of equals."""
    best, lowest = _named(newest.step), newest.score
    for path in _newest_first(folder):
        try:
            score = json.loads((path / _STATE).read_text(encoding="utf-8"))["score"]
        except (OSError, ValueError, KeyError):
            continue
        if lowest and score and score[0] == lowest[0] and score[1] <= lowest[1]:
            best, lowest = path.name, score
    return best


def _named(step: int) -> str:
    return f"{_PREFIX}{step:012d}"


def _check_identity(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    # Through JSON, so that tuples and lists compare equal.
    plain = json.loads(json.dumps(wanted))
    for key in sorted(set(found) | set(plain)):
        if found.get(key) != plain.get(key):
            raise CheckpointError(
                f"{path} belongs to another run ({key} was {found.get(key)!r}, now {plain.get(key)!r}); "
                "use another folder or the former configuration."
            )


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{_PREFIX}*"), reverse=True)


def _dump(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True), encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
