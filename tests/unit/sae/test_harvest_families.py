"""Harvest on every model family against plain torch hooks, whose places are written down here family by family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from tiny import BOS, CONFIGS, LAYERS, VOCAB, language_model, write_tokens
from torch import Tensor

from mistudio_sae.activations import Harvest
from mistudio_sae.models import HookPoint, LanguageModel, capture, run_with_replacement, run_with_splice
from mistudio_sae.models.hook_points import KINDS

IDS = torch.randint(1, VOCAB, (2, 8), generator=torch.Generator().manual_seed(0))


class Places(NamedTuple):
    layers: str
    attn_out: str
    mlp_out: str


_LLAMA = Places("model.layers", "self_attn", "mlp")
_GEMMA = Places("model.layers", "post_attention_layernorm", "post_feedforward_layernorm")
PLACES = {
    "gpt2": Places("transformer.h", "attn", "mlp"),
    "gpt_neox": Places("gpt_neox.layers", "attention", "mlp"),
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "gemma2": _GEMMA,
    "gemma3": _GEMMA,
    "gemma3_with_images": _GEMMA._replace(layers="model.language_model.layers"),
}


@pytest.fixture(params=sorted(CONFIGS))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def every_hook() -> list[HookPoint]:
    return [HookPoint.parse(f"layer.{i}.{kind}") for i in range(LAYERS) for kind in KINDS]


def full_forward(lm: LanguageModel, family: str, ids: Tensor) -> dict[str, Tensor]:
    """Everything that plain hooks see in a forward pass that nothing cuts short."""
    seen: dict[str, Tensor] = {}

    def output(name: str) -> Callable[..., None]:
        def hook(_: Any, __: Any, value: Any) -> None:
            seen[name] = value[0] if isinstance(value, tuple) else value

        return hook

    def input_(name: str) -> Callable[..., None]:
        def hook(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            seen[name] = args[0] if args else kwargs["hidden_states"]

        return hook

    places, handles = PLACES[family], []
    for i in range(LAYERS):
        layer = lm.model.get_submodule(f"{places.layers}.{i}")
        named = {kind: layer.get_submodule(getattr(places, kind)) for kind in ("attn_out", "mlp_out")}
        for kind, module in {**named, "resid_post": layer}.items():
            handles.append(module.register_forward_hook(output(f"layer.{i}.{kind}")))
        for kind, module in {"mlp_in": layer.get_submodule("mlp"), "resid_pre": layer}.items():
            handles.append(module.register_forward_pre_hook(input_(f"layer.{i}.{kind}"), with_kwargs=True))
    with torch.no_grad():
        lm.model(ids, use_cache=False)
    for handle in handles:
        handle.remove()
    return seen


def test_every_hook_point_of_one_pass_equals_plain_hooks_on_a_full_forward(family: str) -> None:
    lm = language_model(family)
    expected = full_forward(lm, family, IDS)
    captured = capture(lm, IDS, every_hook())
    assert set(captured) == set(expected) == {f"layer.{i}.{kind}" for i in range(LAYERS) for kind in KINDS}
    for name, values in expected.items():
        torch.testing.assert_close(captured[name], values, rtol=0, atol=0)
    differing = [tuple(values.flatten()[:4].tolist()) for name, values in expected.items() if "resid" not in name]
    assert len(set(differing)) == len(differing), "no two places hold the same"


@pytest.mark.parametrize("last", [f"layer.1.{kind}" for kind in KINDS])
def test_nothing_after_the_last_hook_point_runs(family: str, last: str) -> None:
    lm, ran = language_model(family), list[str]()
    first, second = lm.layers[1], lm.layers[2]
    later = {"layer 2": second, "norm": lm.final_norm, "unembedding": lm.model.get_output_embeddings()}
    if last.endswith("resid_pre"):
        later |= dict(first.named_children())
    if last.endswith("mlp_in"):
        later |= {f"mlp.{name}": module for name, module in first.get_submodule("mlp").named_children()}
    for name, module in later.items():
        module.register_forward_pre_hook(lambda *_, name=name: ran.append(name))
    capture(lm, IDS, [HookPoint.parse("layer.0.mlp_in"), HookPoint.parse(last)])
    assert ran == []
    lm.model(IDS)
    assert set(ran) == set(later), "the watch sees what runs"


def test_a_harvest_leaves_out_special_positions_at_every_hook_point(family: str, tmp_path: Path) -> None:
    lm, reader = language_model(family), write_tokens(tmp_path, blocks=6)
    ids = torch.from_numpy(reader.blocks("train")[:])
    assert (ids == BOS).any()
    harvest = Harvest(lm, reader, every_hook(), block_batch=len(ids), seed=0)
    rows = next(harvest)
    order = harvest._epoch_order(0)  # the blocks come in the epoch's order
    expected = full_forward(lm, family, ids[order])
    for name, values in expected.items():
        torch.testing.assert_close(rows[name], values[ids[order] != BOS], rtol=1e-5, atol=1e-6)


def test_a_splice_replaces_the_mlps_output_by_what_is_made_of_its_input(family: str) -> None:
    lm = language_model(family)
    source, target = HookPoint.parse("layer.1.mlp_in"), HookPoint.parse("layer.1.mlp_out")
    expected, seen = full_forward(lm, family, IDS), list[Tensor]()

    def keep(x: Tensor, y: Tensor) -> Tensor:
        seen.extend((x, y))
        return y

    with torch.no_grad():
        clean = lm.model(IDS).logits
    torch.testing.assert_close(run_with_splice(lm, IDS, source, target, keep), clean, rtol=0, atol=0)
    torch.testing.assert_close(seen[0], expected[source.name], rtol=0, atol=0)
    torch.testing.assert_close(seen[1], expected[target.name], rtol=0, atol=0)

    twice = run_with_splice(lm, IDS, source, target, lambda x, _: 2 * _mlp(lm, x))
    doubled = run_with_replacement(lm, IDS, target, lambda y: 2 * y)
    torch.testing.assert_close(twice, doubled, rtol=0, atol=0)
    assert not torch.allclose(twice, clean)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in lm.model.modules())


def _mlp(lm: LanguageModel, x: Tensor) -> Tensor:
    after = dict(lm.layers[1].named_children()).get("post_feedforward_layernorm", torch.nn.Identity())
    # Not the modules themselves: the hook that asks for this is on one of them.
    out: Tensor = after.forward(lm.layers[1].get_submodule("mlp").forward(x))
    return out
