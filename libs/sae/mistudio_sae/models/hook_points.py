"""Names of the places in a model where activations are read, and where those places are in a transformers model."""

import re
from dataclasses import dataclass
from typing import Literal

from torch import nn

from mistudio_sae.errors import HookPointError
from mistudio_sae.models.language_model import LanguageModel

KINDS = ("resid_pre", "resid_post", "attn_out", "mlp_in", "mlp_out")
_NAMED = re.compile(r"layer\.(\d+)\.(\w+)")
_MODULE_PATH = re.compile(r"[A-Za-z_]\w*(\.\w+)*")
_ATTENTION = ("attn", "attention", "self_attn")
_TRANSFORMER_LENS = {
    "resid_pre": "hook_resid_pre",
    "resid_post": "hook_resid_post",
    "attn_out": "hook_attn_out",
    "mlp_in": "ln2.hook_normalized",
    "mlp_out": "hook_mlp_out",
}


@dataclass(frozen=True)
class HookPoint:
    """A named place: `layer.<i>.<kind>`, or the path of any module of the model (its output)."""

    name: str
    """The name as users write it."""
    kind: str
    """One of KINDS, or "module" for a raw module path."""
    layer: int | None
    """Layer index from 0; for a raw module path the first number in it, None without one."""

    @classmethod
    def parse(cls, name: str) -> "HookPoint":
        """Parse `layer.3.resid_post` or a module path such as `transformer.h.3.mlp.c_fc`.

        Raises HookPointError when the name is neither; whether the model has it is `resolve`'s question.
        """
        named = _NAMED.fullmatch(name)
        if named and named[2] in KINDS:
            return cls(name, named[2], int(named[1]))
        if name.startswith("layer.") or not _MODULE_PATH.fullmatch(name):
            raise HookPointError(
                f"hook point {name!r} is unknown; write layer.<i>.<kind> with kind one of {', '.join(KINDS)}, "
                "or the path of a module."
            )
        numbers = [int(part) for part in name.split(".") if part.isdigit()]
        return cls(name, "module", numbers[0] if numbers else None)

    def mlp_output(self) -> "HookPoint":
        """Return where the MLP whose input this is puts its output; raises HookPointError at any other hook point."""
        if self.kind != "mlp_in":
            layer = "<i>" if self.layer is None else self.layer
            raise HookPointError(
                f"{self.name}: a transcoder reads the input of an MLP; name layer.{layer}.mlp_in for it."
            )
        return HookPoint(f"layer.{self.layer}.mlp_out", "mlp_out", self.layer)

    def transformer_lens_name(self) -> str:
        """Return the TransformerLens name of the same place; a raw module path has none and stays as it is."""
        if self.kind == "module":
            return self.name
        return f"blocks.{self.layer}.{_TRANSFORMER_LENS[self.kind]}"


@dataclass(frozen=True)
class HookSite:
    """Where a hook point is: the input or output of a module; `index` picks from a tuple of outputs."""

    module: nn.Module
    reads: Literal["input", "output"]
    index: int = 0


def resolve(lm: LanguageModel, hook: HookPoint) -> HookSite:
    """Find a hook point in a model; raises HookPointError listing what the model has when it is absent.

    Where a layer normalises the outputs of attention and MLP once more before it adds them (Gemma 2 and 3),
    attn_out and mlp_out are what is added, as in TransformerLens.
    """
    if hook.kind == "module":
        return HookSite(_named_module(lm, hook.name), "output")
    if hook.layer is None or hook.layer >= lm.n_layers:
        raise HookPointError(f"{hook.name}: this model has layers 0 to {lm.n_layers - 1}.")
    layer = lm.layers[hook.layer]
    if hook.kind == "resid_pre":
        return HookSite(layer, "input")
    if hook.kind == "resid_post":
        return HookSite(layer, "output")
    return _inner_site(layer, hook)


def _inner_site(layer: nn.Module, hook: HookPoint) -> HookSite:
    children = dict(layer.named_children())
    attention = next((children[name] for name in _ATTENTION if name in children), None)
    mlp = children.get("mlp")
    sandwich = "post_feedforward_layernorm" in children
    if hook.kind == "attn_out":
        module = children.get("post_attention_layernorm") if sandwich else attention
    elif hook.kind == "mlp_out":
        module = children["post_feedforward_layernorm"] if sandwich else mlp
    else:
        module = mlp
    if module is None:
        raise HookPointError(f"{hook.name}: {type(layer).__name__} has no such part; it has {', '.join(children)}.")
    return HookSite(module, "input" if hook.kind == "mlp_in" else "output")


def _named_module(lm: LanguageModel, path: str) -> nn.Module:
    try:
        return lm.model.get_submodule(path)
    except AttributeError as err:
        names = ", ".join(name for name, _ in lm.model.named_children())
        raise HookPointError(
            f"{path}: no such module; paths start with {names}, and layers 0 to {lm.n_layers - 1} are named layer.<i>."
        ) from err
