from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_gpt2 import STORY, VOCAB
from transformers import T5Config

from mistudio.v1 import DownloadModel
from mistudio_ingest import download_model
from mistudio_runtime.jobs import PermanentFailure
from mistudio_runtime.paths import PathNotAllowedError
from mistudio_sae.bundled import bundled_models
from mistudio_sae.models.loading import load_model
from support.workshop import Workshop


def bring(workshop: Workshop, folder: Path) -> str:
    return download_model.run(DownloadModel(local_path=str(folder)), workshop.job("job-model"))[0]


def test_a_local_model_is_copied_and_described(workshop: Workshop, model_folder: Path) -> None:
    artifact_id = bring(workshop, model_folder)

    manifest = workshop.store.get(artifact_id)
    parameters = sum(tensor.numel() for tensor in load_file(model_folder / "model.safetensors").values())
    assert manifest.summary == {
        "name": "tiny-gpt2",
        "architecture": "gpt2",
        "n_layers": 2,
        "d_model": 16,
        "vocab_size": VOCAB,
        "context_length": 64,
        "parameters": parameters,
        "has_fast_tokenizer": True,
        "revision": "",
    }
    loaded = load_model(workshop.store.path(artifact_id))
    assert loaded.tokenizer.decode(loaded.tokenizer(STORY)["input_ids"]) == STORY
    copy = workshop.store.path(artifact_id) / "model.safetensors"
    assert not copy.samefile(model_folder / "model.safetensors"), "a change of the original would change the artifact"


def test_nothing_executable_is_taken(workshop: Workshop, model_folder: Path) -> None:
    (model_folder / "pytorch_model.bin").write_bytes(b"pickle")
    (model_folder / "modeling_evil.py").write_text("raise SystemExit")
    (model_folder / "model.fp16.safetensors").write_bytes(b"another format")

    names = {entry.path for entry in workshop.store.get(bring(workshop, model_folder)).files}

    assert names == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_a_tokenizer_in_an_older_form_becomes_tokenizer_json(workshop: Workshop, model_folder: Path) -> None:
    parts = json.loads((model_folder / "tokenizer.json").read_text())["model"]
    (model_folder / "vocab.json").write_text(json.dumps(parts["vocab"]))
    (model_folder / "merges.txt").write_text("\n".join(" ".join(pair) for pair in parts["merges"]) + "\n")
    (model_folder / "tokenizer.json").unlink()
    (model_folder / "tokenizer_config.json").unlink()

    artifact_id = bring(workshop, model_folder)

    assert "tokenizer.json" in {entry.path for entry in workshop.store.get(artifact_id).files}


def test_the_bundled_models_can_be_taken(workshop: Workshop) -> None:
    for name in bundled_models():
        artifact_id = download_model.run(DownloadModel(bundled=name), workshop.job(f"job-{len(name)}"))[0]
        assert workshop.store.get(artifact_id).summary["name"] == name


def drop_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()


def only_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def break_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])


def lose_a_shard(folder: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    save_file({"a": torch.zeros(2)}, folder / "model-00001-of-00002.safetensors")


def break_index(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text("[]")


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def unknown_architecture(folder: Path) -> None:
    (folder / "config.json").write_text(
        json.dumps({"model_type": "from_the_future", "auto_map": {"AutoConfig": "x.Y"}})
    )


def not_causal(folder: Path) -> None:
    T5Config().save_pretrained(folder)


def config_of_another_kind(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(T5Config().to_dict() | {"model_type": "gpt2", "n_layer": "many"}))


def small_embedding(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text()) | {"vocab_size": 10, "bos_token_id": 0, "eos_token_id": 0}
    (folder / "config.json").write_text(json.dumps(config))


def break_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (drop_tokenizer, "tiny-gpt2 has no fast tokenizer; add its tokenizer.json"),
        (break_tokenizer, "the tokenizer of tiny-gpt2 cannot be loaded"),
        (only_pickle, r"no model\.safetensors, and pickled weights are never loaded"),
        (break_weights, "no readable safetensors file"),
        (lose_a_shard, r"lacks model-00002-of-00002\.safetensors"),
        (break_index, "is broken"),
        (no_config, r"no config\.json"),
        (unknown_architecture, "cannot be used"),
        (not_causal, "no causal language model"),
        (config_of_another_kind, "cannot be used"),
        (small_embedding, "ids but the model 10"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_model_that_cannot_be_used_fails_with_a_sentence(
    workshop: Workshop, model_folder: Path, damage: object, says: str
) -> None:
    damage(model_folder)  # type: ignore[operator]

    with pytest.raises(PermanentFailure, match=says):
        bring(workshop, model_folder)
    assert not [*workshop.store.list()]
    assert not [*workshop.store.drafts.iterdir()]


def test_paths_stay_inside_the_allowed_roots(workshop: Workshop, model_folder: Path, tmp_path: Path) -> None:
    outside = shutil.copytree(model_folder, tmp_path / "outside")
    with pytest.raises(PathNotAllowedError):
        bring(workshop, outside)
    (model_folder / "config.json").unlink()
    (model_folder / "config.json").symlink_to(outside / "config.json")
    with pytest.raises(PathNotAllowedError):
        bring(workshop, model_folder)


def test_names_that_lead_nowhere_are_refused(workshop: Workshop, data: Path) -> None:
    with pytest.raises(PermanentFailure, match="is no folder"):
        bring(workshop, data / "gone")
    with pytest.raises(PermanentFailure, match="no bundled model"):
        download_model.run(DownloadModel(bundled="gone"), workshop.job("job-none"))
    with pytest.raises(PermanentFailure, match="no source is given"):
        download_model.run(DownloadModel(), workshop.job("job-none"))
