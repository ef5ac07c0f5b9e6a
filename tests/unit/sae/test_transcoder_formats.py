"""Transcoders in SAELens' layout, and sparsify's layout both ways."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from extraction import sae
from safetensors.torch import load_file, save_file
from tiny import D_MODEL

from mistudio_sae.errors import HookPointError, SaeFormatError
from mistudio_sae.formats import SaeProvenance, load_saelens, load_sparsify, save_saelens, save_sparsify
from mistudio_sae.formats.sparsify import WRITTEN
from mistudio_sae.saes import Sae, SaeConfig, build_sae

BOTH = ["transcoder", "skip_transcoder"]
PROVENANCE = SaeProvenance("gpt2", "layer.1.mlp_in", 128, prepend_bos=True, dataset="topics")
X = torch.randn(40, D_MODEL, generator=torch.Generator().manual_seed(1))
D_SAE = 24


def relu_transcoder(architecture: str) -> Sae:
    """One that keeps all of its latents."""
    made = sae(architecture)
    other = build_sae(dataclasses.replace(made.config, k=D_SAE), torch.Generator())
    other.load_state_dict(made.state_dict())
    return other.requires_grad_(requires_grad=False)


def config_of(folder: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((folder / "cfg.json").read_text())
    return content


def assert_alike(loaded: Sae, made: Sae) -> None:
    torch.testing.assert_close(loaded.encode(X), made.encode(X), rtol=0, atol=1e-5)
    torch.testing.assert_close(loaded(X), made(X), rtol=0, atol=1e-5)
    assert made.encode(X).count_nonzero() > 0


@pytest.mark.parametrize("architecture", BOTH)
def test_a_transcoder_survives_saelens_layout(tmp_path: Path, architecture: str) -> None:
    made = sae(architecture)
    save_saelens(tmp_path, made, PROVENANCE, torch.linspace(-6, 0, D_SAE))
    loaded = load_saelens(tmp_path)
    assert loaded.config == made.config
    assert loaded.provenance == PROVENANCE
    assert loaded.sparsity is not None
    assert_alike(loaded.sae, made)


def test_a_topk_transcoder_is_saelens_topk_that_takes_no_bias_off_its_input(tmp_path: Path) -> None:
    save_saelens(tmp_path, sae("transcoder"), PROVENANCE)
    config = config_of(tmp_path)
    metadata = config.pop("metadata")
    assert config == {
        "d_in": 16,
        "d_sae": 24,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "architecture": "topk",
        "k": 4,
        "rescale_acts_by_decoder_norm": False,
    }
    assert isinstance(metadata, dict)
    assert (metadata["hook_name"], metadata["hook_name_out"]) == (
        "blocks.1.ln2.hook_normalized",
        "blocks.1.hook_mlp_out",
    )


def test_a_skip_transcoder_is_saelens_with_its_k_beside_it(tmp_path: Path) -> None:
    made = sae("skip_transcoder")
    save_saelens(tmp_path, made, PROVENANCE)
    config = config_of(tmp_path)
    assert (config["architecture"], config["d_out"], config["apply_b_dec_to_input"]) == ("skip_transcoder", 16, False)
    assert isinstance(config["metadata"], dict)
    assert (config["metadata"]["activation_fn"], config["metadata"]["k"]) == ("topk", 4)
    torch.testing.assert_close(load_file(tmp_path / "sae_weights.safetensors")["W_skip"], made.state_dict()["W_skip"].T)


@pytest.mark.parametrize("architecture", BOTH)
def test_a_relu_transcoder_of_saelens_keeps_all_its_latents(tmp_path: Path, architecture: str) -> None:
    made = relu_transcoder(architecture)
    save_saelens(tmp_path, made, PROVENANCE)
    config = config_of(tmp_path)
    assert config["architecture"] == architecture
    config["metadata"] = {"hook_name": "blocks.1.ln2.hook_normalized"}  # as one that others have written
    (tmp_path / "cfg.json").write_text(json.dumps(config))
    loaded = load_saelens(tmp_path)
    assert (loaded.config.k, loaded.provenance.hook_point) == (D_SAE, "layer.1.mlp_in")
    assert_alike(loaded.sae, made)
    torch.testing.assert_close(loaded.sae.encode(X), (X @ made.W_enc + made.b_enc).relu(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"d_out": 17}, "d_out is 17, not d_in = 16"), ({"apply_b_dec_to_input": True}, "no transcoder has")],
)
def test_a_transcoder_that_ours_cannot_express_is_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    save_saelens(tmp_path, sae("skip_transcoder"), PROVENANCE)
    (tmp_path / "cfg.json").write_text(json.dumps(config_of(tmp_path) | change))
    with pytest.raises(SaeFormatError, match=message):
        load_saelens(tmp_path)


def test_a_transcoder_of_no_mlp_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(HookPointError, match=r"name layer\.1\.mlp_in"):
        save_saelens(tmp_path, sae("transcoder"), dataclasses.replace(PROVENANCE, hook_point="layer.1.resid_post"))


@pytest.mark.parametrize(
    ("architecture", "hook_point", "folder"),
    [
        ("topk", "layer.5.resid_post", "layers.5"),
        ("topk", "layer.5.mlp_out", "layers.5.mlp"),
        ("topk", "layer.5.attn_out", "layer.5.attn_out"),
        ("transcoder", "layer.5.mlp_in", "layers.5.mlp"),
        ("skip_transcoder", "layer.5.mlp_in", "layers.5.mlp"),
    ],
)
def test_sparsify_round_trip(tmp_path: Path, architecture: str, hook_point: str, folder: str) -> None:
    made = sae(architecture)
    written = save_sparsify(tmp_path, made, hook_point)
    assert written == tmp_path / folder
    loaded = load_sparsify(written, "pythia-70m")
    assert loaded.config == SaeConfig(architecture, D_MODEL, D_SAE, k=4)  # type: ignore[arg-type]
    assert loaded.provenance == SaeProvenance("pythia-70m", hook_point)
    assert_alike(loaded.sae, made)


@pytest.mark.parametrize("architecture", WRITTEN)
def test_keys_and_shapes_are_those_of_sparsify(tmp_path: Path, architecture: str) -> None:
    folder = save_sparsify(tmp_path, sae(architecture), "layer.1.mlp_in")
    assert config_of(folder) == {
        "activation": "topk",
        "expansion_factor": 1,
        "normalize_decoder": True,
        "num_latents": 24,
        "k": 4,
        "multi_topk": False,
        "skip_connection": architecture == "skip_transcoder",
        "transcode": architecture != "topk",
        "d_in": 16,
    }
    shapes = {name: tuple(tensor.shape) for name, tensor in load_file(folder / "sae.safetensors").items()}
    expected = {"encoder.weight": (24, 16), "encoder.bias": (24,), "W_dec": (24, 16), "b_dec": (16,)}
    assert shapes == expected | ({"W_skip": (16, 16)} if architecture == "skip_transcoder" else {})


@pytest.mark.parametrize("architecture", ["standard", "gated", "batchtopk", "jumprelu", "matryoshka"])
def test_what_sparsify_lacks_is_refused_before_a_file_is_written(tmp_path: Path, architecture: str) -> None:
    with pytest.raises(SaeFormatError, match=f"sparsify has no {architecture} SAEs"):
        save_sparsify(tmp_path / "new", sae(architecture), "layer.1.resid_post")
    assert not (tmp_path / "new").exists()


def test_a_skip_connection_without_its_weights_or_without_a_transcoder_is_refused(tmp_path: Path) -> None:
    folder = save_sparsify(tmp_path, sae("skip_transcoder"), "layer.1.mlp_in")
    (folder / "cfg.json").write_text(json.dumps(config_of(folder) | {"transcode": False}))
    with pytest.raises(SaeFormatError, match="only transcoders may have one"):
        load_sparsify(folder)
    (folder / "cfg.json").write_text(json.dumps(config_of(folder) | {"transcode": True}))
    tensors = load_file(folder / "sae.safetensors")
    del tensors["W_skip"]
    save_file(tensors, folder / "sae.safetensors")
    with pytest.raises(SaeFormatError, match="'W_skip'"):
        load_sparsify(folder)
