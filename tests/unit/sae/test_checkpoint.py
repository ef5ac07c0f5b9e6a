"""Checkpoints: complete or absent, verified, retained, and refused to another run."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mistudio_sae.errors import CheckpointError
from mistudio_sae.training.checkpoint import Checkpoint, load_latest, load_part, save_checkpoint

FVU = "evaluation/fvu"
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


def save_scored(folder: Path, scores: dict[int, tuple[str, float] | None], *, keep: int = 1) -> list[int]:
    """Save a checkpoint of each step with its score; return the steps that are left."""
    for step, score in scores.items():
        save_checkpoint(folder, replace(checkpoint(step), score=score), keep=keep, keep_best=True)
    return sorted(int(path.name.removeprefix("step-")) for path in folder.iterdir())


def test_the_best_is_kept_beside_the_newest(tmp_path: Path) -> None:
    fvus = {1: 0.5, 2: 0.3, 3: 0.4, 4: 0.3, 5: 0.6, 6: 0.7}
    assert save_scored(tmp_path, {step: (FVU, fvu) for step, fvu in fvus.items()}, keep=2) == [2, 5, 6]


def test_a_better_one_takes_the_place_of_the_best(tmp_path: Path) -> None:
    assert save_scored(tmp_path, {1: (FVU, 0.5), 2: (FVU, 0.6), 3: (FVU, 0.4), 4: (FVU, 0.9)}) == [3, 4]


def test_scores_of_two_kinds_are_not_compared(tmp_path: Path) -> None:
    assert save_scored(tmp_path, {1: ("loss", 0.1), 2: (FVU, 0.6), 3: (FVU, 0.7)}) == [2, 3]
    assert save_scored(tmp_path, {4: None}) == [4]


def test_what_is_needed_is_kept(tmp_path: Path) -> None:
    for step in range(1, 6):
        save_checkpoint(tmp_path, checkpoint(step), keep=1, needed={2})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000000002", "step-000000000005"]


def test_a_part_of_a_checkpoint_is_read_alone_and_verified(tmp_path: Path) -> None:
    saved = replace(
        checkpoint(3), tensors={"0.w": torch.ones(2), "1.w": torch.zeros(2)}, standings=[{"a": 1}, {"a": 2}]
    )
    path = save_checkpoint(tmp_path, saved, keep=1)
    tensors, standings = load_part(tmp_path, 3, "1.")
    assert tensors.keys() == {"w"}
    assert torch.equal(tensors["w"], torch.zeros(2))
    assert standings == [{"a": 1}, {"a": 2}]
    content = bytearray((path / "tensors.safetensors").read_bytes())
    content[-1] ^= 1
    (path / "tensors.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="step-000000000003 cannot be read"):
        load_part(tmp_path, 3, "1.")
    with pytest.raises(CheckpointError, match="step-000000000009 cannot be read"):
        load_part(tmp_path, 9, "1.")


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
