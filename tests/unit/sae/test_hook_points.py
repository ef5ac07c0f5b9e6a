"""Hook points on every supported model family: the captured tensors are the model's own, and later layers never run."""

import pytest
import torch
from tiny import CONFIGS, D_MODEL, LAYERS, VOCAB, language_model

from mistudio_sae.errors import HookPointError
from mistudio_sae.models import HookPoint, LanguageModel, capture, resolve, run_with_replacement

FAMILIES = sorted(CONFIGS)
IDS = torch.randint(1, VOCAB, (2, 8), generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=FAMILIES)
def lm(request: pytest.FixtureRequest) -> LanguageModel:
    return language_model(request.param)


def hooks(kind: str) -> list[HookPoint]:
    return [HookPoint.parse(f"layer.{i}.{kind}") for i in range(LAYERS)]


def one(lm: LanguageModel, name: str) -> torch.Tensor:
    return capture(lm, IDS, [HookPoint.parse(name)])[name]


def test_residuals_equal_the_hidden_states_of_transformers(lm: LanguageModel) -> None:
    states = lm.model(IDS, output_hidden_states=True).hidden_states
    captured = capture(lm, IDS, hooks("resid_pre") + hooks("resid_post"))
    for i in range(LAYERS):
        torch.testing.assert_close(captured[f"layer.{i}.resid_pre"], states[i], rtol=0, atol=0)
        if i + 1 < LAYERS:
            torch.testing.assert_close(captured[f"layer.{i}.resid_post"], states[i + 1], rtol=0, atol=0)
    last = lm.final_norm(captured[f"layer.{LAYERS - 1}.resid_post"])
    torch.testing.assert_close(last, states[-1], rtol=0, atol=0)


def test_attention_and_mlp_outputs_add_up_to_the_residual(lm: LanguageModel) -> None:
    before, after = one(lm, "layer.1.resid_pre"), one(lm, "layer.1.resid_post")
    added = one(lm, "layer.1.attn_out") + one(lm, "layer.1.mlp_out")
    torch.testing.assert_close(before + added, after, rtol=1e-5, atol=1e-5)


def test_mlp_in_is_what_the_mlp_reads(lm: LanguageModel) -> None:
    out = lm.layers[1].mlp(one(lm, "layer.1.mlp_in"))
    if "post_feedforward_layernorm" in dict(lm.layers[1].named_children()):
        out = lm.layers[1].post_feedforward_layernorm(out)
    torch.testing.assert_close(out, one(lm, "layer.1.mlp_out"), rtol=0, atol=0)


def test_the_pass_ends_at_the_last_hook_point(lm: LanguageModel) -> None:
    ran: list[str] = []
    watched = {"layer 2": lm.layers[2], "final norm": lm.final_norm, "unembedding": lm.model.get_output_embeddings()}
    for name, module in watched.items():
        module.register_forward_pre_hook(lambda *_, name=name: ran.append(name))
    capture(lm, IDS, [HookPoint.parse("layer.1.resid_post"), HookPoint.parse("layer.0.mlp_out")])
    assert ran == []
    lm.model(IDS)
    assert ran == list(watched)


def test_capturing_leaves_no_hook_behind(lm: LanguageModel) -> None:
    before = lm.model(IDS).logits
    capture(lm, IDS, hooks("attn_out") + hooks("resid_pre"))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in lm.layers.modules())
    torch.testing.assert_close(lm.model(IDS).logits, before, rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["resid_pre", "resid_post", "attn_out", "mlp_in", "mlp_out"])
def test_replacing_an_activation_by_itself_changes_nothing_and_by_zero_does(lm: LanguageModel, kind: str) -> None:
    hook = HookPoint.parse(f"layer.1.{kind}")
    clean = lm.model(IDS).logits
    torch.testing.assert_close(run_with_replacement(lm, IDS, hook, lambda x: x), clean, rtol=0, atol=0)
    assert not torch.allclose(run_with_replacement(lm, IDS, hook, torch.zeros_like), clean)


def test_the_unembedding_with_the_final_norm_gives_the_logits(lm: LanguageModel) -> None:
    # A vector of mean 0 and mean square 1 passes a norm as itself times the norm's weight (plus a bias).
    unembedding, weight = lm.unembedding()
    assert unembedding.shape == (D_MODEL, VOCAB)
    assert weight is not None
    x = torch.randn(D_MODEL, generator=torch.Generator().manual_seed(1))
    x = (x - x.mean()) / (x - x.mean()).square().mean().sqrt()
    bias = getattr(lm.final_norm, "bias", None)
    expected = lm.final_norm(x) - (0 if bias is None else bias)
    torch.testing.assert_close((x * weight) @ unembedding, expected @ unembedding, rtol=1e-3, atol=1e-3)


def test_a_raw_module_path_is_its_output() -> None:
    lm = language_model("gpt2")
    assert torch.equal(one(lm, "transformer.h.1.mlp"), one(lm, "layer.1.mlp_out"))
    assert HookPoint.parse("transformer.h.1.mlp").layer == 1


@pytest.mark.parametrize("name", ["layer.1.resid_mid", "layer.x.resid_pre", "layer.-1.resid_pre", "", "a b", "h."])
def test_a_name_that_is_no_hook_point_is_refused(name: str) -> None:
    with pytest.raises(HookPointError, match="resid_pre"):
        HookPoint.parse(name)


def test_a_layer_out_of_range_names_the_layers_that_exist(lm: LanguageModel) -> None:
    with pytest.raises(HookPointError, match="layers 0 to 2"):
        resolve(lm, HookPoint.parse("layer.3.resid_post"))
    with pytest.raises(HookPointError, match="layers 0 to 2"):
        resolve(lm, HookPoint.parse("no.such.module"))


def test_a_module_that_the_pass_does_not_use_is_reported() -> None:
    lm = language_model("gpt2")
    lm.model.register_module("unused", torch.nn.Linear(2, 2))
    with pytest.raises(HookPointError, match="unused"):
        capture(lm, IDS, [HookPoint.parse("unused")])


def test_transformer_lens_names() -> None:
    names = [HookPoint.parse(f"layer.3.{kind}").transformer_lens_name() for kind in ("resid_pre", "attn_out", "mlp_in")]
    assert names == ["blocks.3.hook_resid_pre", "blocks.3.hook_attn_out", "blocks.3.ln2.hook_normalized"]
    assert HookPoint.parse("transformer.h.1.mlp").transformer_lens_name() == "transformer.h.1.mlp"
