"""Changes of single fields of a spec, as `mistudio jobs retry --set` takes them."""

from __future__ import annotations

import click
import pytest

from mistudio import v1
from mistudio.cli.spec.assign import assign


def spec() -> v1.TrainSae:
    return v1.TrainSae(hook_points=["layer.0.resid_post"], saes=[v1.SaeSpec(d_sae=64, k=4)], batch_tokens=4096)


def test_fields_are_set_by_their_paths() -> None:
    changed = spec()
    changes = {
        "train_sae.batch_tokens": "2048",
        "dtype": "bfloat16",
        "saes[0].k": "8",
        "model.artifact_id": "model-1-0",
        "hook_points": '["layer.1.mlp_out", "layer.2.mlp_out"]',
        "learning_rate": "1e-4",
    }
    assign(changed, "train_sae", changes.items())
    assert (changed.batch_tokens, changed.dtype, changed.saes[0].k, changed.saes[0].d_sae) == (2048, "bfloat16", 8, 64)
    assert changed.model.artifact_id == "model-1-0"
    assert changed.hook_points == ["layer.1.mlp_out", "layer.2.mlp_out"]
    assert changed.learning_rate == 1e-4


@pytest.mark.parametrize("length", ["2h", "7200s", '"7200s"', "1h60m"])
def test_a_length_of_time_is_taken_as_by_every_option(length: str) -> None:
    changed = v1.JobSpec(collect_garbage=v1.CollectGarbage(dry_run=True)).collect_garbage
    assign(changed, "collect_garbage", [("collect_garbage.min_age", length)])
    assert (changed.min_age.seconds, changed.dry_run) == (7200, True)


def test_what_is_no_length_of_time_is_said() -> None:
    with pytest.raises(click.BadParameter, match="min_age=soon: 'soon' is no length of time such as 90s, 2h"):
        assign(v1.CollectGarbage(), "collect_garbage", [("min_age", "soon")])


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("batch", "1", "there is no field 'batch'"),
        ("batch_tokens", "many", "batch_tokens=many"),
        ("batch_tokens", "-1", "batch_tokens=-1"),
        ("batch_tokens.x", "1", "'batch_tokens' holds no fields"),
        ("saes.k", "1", r"say which of saes: saes\[0\]"),
        ("saes[7].k", "1", "list index"),
        ("", "1", "there is no field ''"),
        ("__class__.x", "1", "holds no fields"),
    ],
)
def test_what_cannot_be_set_is_said(path: str, value: str, says: str) -> None:
    unchanged = spec()
    with pytest.raises(click.BadParameter, match=says):
        assign(unchanged, "train_sae", [(path, value)])
    assert unchanged == spec()
