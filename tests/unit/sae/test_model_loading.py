"""Loading models from local folders: what is accepted, and that everything else is refused with a reason."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import CONTEXT, VOCAB, language_model
from transformers import AutoModelForCausalLM

from mistudio_sae.errors import ModelLoadError
from mistudio_sae.models import load_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lm = language_model("gpt2")
    lm.model.save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)
    return tmp_path


def test_a_saved_model_loads_frozen_and_equal(folder: Path) -> None:
    lm = load_model(folder)
    ids = torch.arange(CONTEXT)[None]
    torch.testing.assert_close(lm.model(ids).logits, language_model("gpt2").model(ids).logits)
    assert not lm.model.training
    assert not any(parameter.requires_grad for parameter in lm.model.parameters())
    assert (lm.d_model, lm.n_layers, lm.vocab_size, lm.context_length) == (16, 3, VOCAB, 64)
    assert lm.tokenizer.encode("w3 w7") == [3, 7]


def test_an_activation_that_is_written_out_is_replaced_by_the_same_in_one(folder: Path) -> None:
    plain = AutoModelForCausalLM.from_pretrained(folder).eval()
    assert type(plain.transformer.h[0].mlp.act).__name__ == "NewGELUActivation"
    fused = load_model(folder).model
    assert isinstance(fused.transformer.h[0].mlp.act, torch.nn.GELU)
    ids = torch.arange(8)[None]
    torch.testing.assert_close(fused(ids).logits, plain(ids).logits)


def test_dtype_is_honoured(folder: Path) -> None:
    assert load_model(folder, dtype="bfloat16").model.dtype == torch.bfloat16
    with pytest.raises(ModelLoadError, match="float32, bfloat16, float16"):
        load_model(folder, dtype="int8")


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"no config\.json"):
        load_model(tmp_path / "absent")


def test_a_missing_tokenizer_is_refused(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ModelLoadError, match="tokenizer"):
        load_model(folder)


def test_pickled_weights_are_refused(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(ModelLoadError, match="cannot be loaded"):
        load_model(folder)


def test_a_missing_weight_is_refused_instead_of_drawn_at_random(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelLoadError, match=r"lacks 1 weights.*c_fc"):
        load_model(folder)


def test_a_damaged_weights_file_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x00" * 64)
    with pytest.raises(ModelLoadError, match="cannot be loaded"):
        load_model(folder)


def test_an_unknown_model_type_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "nonsense"}))
    with pytest.raises(ModelLoadError, match="cannot be loaded"):
        load_model(folder)


def test_a_tokenizer_larger_than_the_model_is_refused(folder: Path) -> None:
    lm = language_model("gpt2")
    lm.tokenizer.add_tokens(["extra"])
    lm.tokenizer.save_pretrained(folder)
    with pytest.raises(ModelLoadError, match="62 ids but the model embeds 61"):
        load_model(folder)
