"""Checkpoints: complete or absent, verified, retained, and refused to another run."""

from pathlib import Path

import pytest
import torch

from mistudio_sae.errors import CheckpointError
from mistudio_sae.training.checkpoint import Checkpoint, load_latest, save_checkpoint

IDENTITY = {"hook_points": ["a"], "training": {"seed": 0}}


def checkpoint(step: int) -> Checkpoint:
    tensors = {"w": torch.full((3,), float(step)), "n": torch.tensor(step), "flags": torch.tensor([True, False])}
    return Checkpoint(step, IDENTITY, [{"loss": 0.1 + step}], tensors)


def save(folder: Path, *steps: int, keep: int = 3) -> None:
    for step in steps:
        save_checkpoint(folder, checkpoint(step), keep=keep)


def load(folder: Path, warnings: list[str] | None = None) -> Checkpoint | None:
    return load_latest(folder, IDENTITY, ([] if warnings is None else warnings).append)


def test_the_newest_is_loaded_whole(tmp_path: Path) -> None:
    save(tmp_path, 5, 12)
    found = load(tmp_path)
    assert found is not None
    assert (found.step, found.metrics) == (12, [{"loss": 12.1}])
    for name, value in checkpoint(12).tensors.items():
        assert torch.equal(found.tensors[name], value)


def test_without_a_checkpoint_there_is_none(tmp_path: Path) -> None:
    assert load(tmp_path / "absent") is None


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    save(tmp_path, 1, 2, 3, 10, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000000003", "step-000000000010"]


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json", "manifest.json"])
def test_a_flipped_byte_falls_back_to_the_checkpoint_before(tmp_path: Path, name: str) -> None:
    save(tmp_path, 1, 2)
    path = tmp_path / "step-000000000002" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    warnings: list[str] = []
    found = load(tmp_path, warnings)
    assert found is not None
    assert found.step == 1
    assert len(warnings) == 1
    assert "step-000000000002 is damaged" in warnings[0]


def test_a_missing_file_falls_back_too(tmp_path: Path) -> None:
    save(tmp_path, 1, 2)
    (tmp_path / "step-000000000002" / "tensors.safetensors").unlink()
    found = load(tmp_path)
    assert found is not None
    assert found.step == 1


def test_a_half_written_checkpoint_is_no_checkpoint_and_no_obstacle(tmp_path: Path) -> None:
    save(tmp_path, 1)
    half = tmp_path / ".writing-step-000000000002"
    half.mkdir()
    (half / "tensors.safetensors").write_bytes(b"half")
    found = load(tmp_path)
    assert found is not None
    assert found.step == 1
    save(tmp_path, 2)
    assert not half.exists()


def test_another_run_is_refused_naming_what_differs(tmp_path: Path) -> None:
    save(tmp_path, 1)
    with pytest.raises(CheckpointError, match=r"training was \{'seed': 0\}, now \{'seed': 1\}"):
        load_latest(tmp_path, IDENTITY | {"training": {"seed": 1}}, print)


def test_a_failed_write_leaves_the_former_checkpoint(tmp_path: Path) -> None:
    save(tmp_path, 1)
    (tmp_path / ".writing-step-000000000002").write_text("a file where a folder must be")
    with pytest.raises(CheckpointError, match="free some space"):
        save(tmp_path, 2)
    found = load(tmp_path)
    assert found is not None
    assert found.step == 1
