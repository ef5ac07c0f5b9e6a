"""Runs a model up to its hook points, or through a replaced activation."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mistudio_sae.errors import HookPointError
from mistudio_sae.models.hook_points import HookPoint, HookSite, resolve
from mistudio_sae.models.language_model import LanguageModel


class _AllCaptured(Exception):  # noqa: N818 - carries no error, it leaves a forward pass whose rest nobody needs
    """Raised inside the forward pass once every hook point has been read."""


@torch.no_grad()
def capture(lm: LanguageModel, input_ids: Tensor, hooks: Sequence[HookPoint]) -> dict[str, Tensor]:
    """Return the activations [n, ctx, d] of each hook point by name, for input_ids [n, ctx] on the model's device.

    The pass ends at the last hook point: later layers and the unembedding do not run. The tensors are the model's own
    (no copies), in its dtype. Raises HookPointError when a hook point is absent or is not reached by the pass.
    """
    wanted = {hook.name: resolve(lm, hook) for hook in hooks}
    captured: dict[str, Tensor] = {}

    def keep(value: Tensor, name: str) -> Tensor:
        captured[name] = value
        if len(captured) == len(wanted):
            raise _AllCaptured
        return value

    with ExitStack() as handles:
        for name, site in wanted.items():
            handles.callback(_intercept(site, partial(keep, name=name)).remove)
        try:
            # lm.model, not its base: a raw module path may name the unembedding.
            lm.model(input_ids, use_cache=False)
        except _AllCaptured:
            return captured
    missing = ", ".join(sorted(set(wanted) - set(captured)))
    raise HookPointError(f"{missing}: the forward pass does not go through it; choose another hook point.")


@torch.no_grad()
def run_with_replacement(
    lm: LanguageModel, input_ids: Tensor, hook: HookPoint, fn: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return the logits [n, ctx, vocab] of input_ids [n, ctx] when the activation x at `hook` is replaced by fn(x).

    `fn` takes and returns [n, ctx, d]. Raises HookPointError when the model has no such hook point.
    """
    handle = _intercept(resolve(lm, hook), fn)
    try:
        logits: Tensor = lm.model(input_ids, use_cache=False).logits
    finally:
        handle.remove()
    return logits


@torch.no_grad()
def run_with_splice(
    lm: LanguageModel, input_ids: Tensor, source: HookPoint, target: HookPoint, fn: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Return the logits [n, ctx, vocab] when y at `target` is replaced by fn(x, y), where x was at `source`.

    The pass comes to `source` before `target`; both may be the same place. `fn` takes and returns [n, ctx, d]. Raises
    HookPointError when the model lacks one of them.
    """
    read: list[Tensor] = []

    def remember(x: Tensor) -> Tensor:
        read.append(x)
        return x

    handle = _intercept(resolve(lm, source), remember)
    try:
        return run_with_replacement(lm, input_ids, target, lambda y: fn(read.pop(), y))
    finally:
        handle.remove()


def _intercept(site: HookSite, fn: Callable[[Tensor], Tensor]) -> RemovableHandle:
    """Put fn(x) in the place of the tensor x that a site reads."""

    def on_input(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if args:
            return (fn(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": fn(kwargs["hidden_states"])}

    def on_output(_: nn.Module, __: tuple[Any, ...], output: Any) -> Any:
        if not isinstance(output, tuple):
            return fn(output)
        return (*output[: site.index], fn(output[site.index]), *output[site.index + 1 :])

    if site.reads == "input":
        return site.module.register_forward_pre_hook(on_input, with_kwargs=True)
    return site.module.register_forward_hook(on_output)
