"""Requests of the queue training."""

from __future__ import annotations

import itertools
import math
import re

from mistudio import v1
from mistudio_gateway.quoting import quoted
from mistudio_gateway.validation.references import check_reference, summary_of
from mistudio_gateway.validation.scope import Scope

DEFAULT_BATCH_TOKENS = 4096
MAX_D_SAE = 4_194_304
MAX_SAES = 256
KEEP_K = (
    v1.SAE_ARCHITECTURE_UNSPECIFIED,
    v1.SAE_ARCHITECTURE_TOPK,
    v1.SAE_ARCHITECTURE_BATCHTOPK,
    v1.SAE_ARCHITECTURE_MATRYOSHKA,
    v1.SAE_ARCHITECTURE_TRANSCODER,
    v1.SAE_ARCHITECTURE_SKIP_TRANSCODER,
)
"""Architectures whose sparsity is k."""
PENALIZE = {
    v1.SAE_ARCHITECTURE_STANDARD: "l1_coefficient",
    v1.SAE_ARCHITECTURE_GATED: "l1_coefficient",
    v1.SAE_ARCHITECTURE_JUMPRELU: "l0_coefficient",
}
"""Architectures whose sparsity is a penalty, to the field with its weight."""
TRANSCODE = (v1.SAE_ARCHITECTURE_TRANSCODER, v1.SAE_ARCHITECTURE_SKIP_TRANSCODER)
"""Architectures that read the input of an MLP."""
DTYPES = ("", "float32", "bfloat16")
_NAMES: dict[int, str] = {
    number: name.removeprefix("SAE_ARCHITECTURE_").lower() for name, number in v1.SaeArchitecture.items()
}
_LAYER = re.compile(r"layer\.(\d{1,4})\.(resid_pre|resid_post|attn_out|mlp_in|mlp_out)")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.\w+)*")
_WANDB_PROJECT = re.compile(r"[^\x00-\x1f\x7f/\\#?%:]{1,128}")
_DEVICE = re.compile(r"|cpu|cuda(:\d+)?")


def train_sae(spec: v1.TrainSae, path: str, scope: Scope) -> None:
    """Checks model, tokens, hook points and every SAE of the sweep."""
    check_reference(scope, spec.model, f"{path}.model", "model")
    check_reference(scope, spec.tokens, f"{path}.tokens", "tokens")
    check_hook_points(list(spec.hook_points), spec.model, f"{path}.hook_points", scope)
    scope.require(0 < len(spec.saes) <= MAX_SAES, f"{path}.saes", f"name 1 to {MAX_SAES} SAEs")
    for index, sae in scope.each(spec.saes[:MAX_SAES]):
        _sae(sae, f"{path}.saes[{index}]", scope)
    _transcoders(spec, path, scope)
    _budget(spec, path, scope)
    check_device(spec.device, f"{path}.device", scope)
    scope.require(spec.dtype in DTYPES, f"{path}.dtype", "is float32 or bfloat16")
    fits = not spec.wandb_project or _WANDB_PROJECT.fullmatch(spec.wandb_project)
    scope.require(bool(fits), f"{path}.wandb_project", "is 1 to 128 characters, without control characters and /\\#?%:")


def check_hook_points(names: list[str], model: v1.ArtifactRef, path: str, scope: Scope) -> None:
    """Checks that hook points are well formed and, if the model is known, that it has these layers."""
    scope.require(bool(names), path, 'name at least one hook point, e.g. "layer.3.resid_post"')
    scope.require(len(set(names)) == len(names), path, "a hook point is named twice")
    layers = summary_of(scope, model).get("n_layers")
    for index, name in scope.each(names):
        match = _LAYER.fullmatch(name)
        if match is None and (name.startswith("layer.") or not _MODULE.fullmatch(name)):
            scope.refuse(
                f"{path}[{index}]",
                f"{quoted(name)} is no hook point: layer.<i>.resid_pre|resid_post|attn_out|mlp_in|mlp_out",
            )
        elif match and isinstance(layers, int) and int(match[1]) >= layers:
            scope.refuse(f"{path}[{index}]", f"the model has the layers 0 to {layers - 1}")


def check_device(device: str, path: str, scope: Scope) -> None:
    """Checks the name of a device."""
    scope.require(bool(_DEVICE.fullmatch(device)), path, "is cpu, cuda or cuda:N")


def _sae(sae: v1.SaeSpec, path: str, scope: Scope) -> None:
    scope.require(0 < sae.d_sae <= MAX_D_SAE, f"{path}.d_sae", f"is 1 to {MAX_D_SAE}")
    name = _architecture(sae)
    if sae.architecture in KEEP_K:
        scope.require(sae.k > 0, f"{path}.k", "is at least 1: the active latents a token")
        scope.require(sae.k <= sae.d_sae, f"{path}.k", f"is at most d_sae ({sae.d_sae})")
    elif sae.architecture in PENALIZE:
        weight = PENALIZE[sae.architecture]
        scope.require(
            not sae.k, f"{path}.k", f"belongs to topk, batchtopk, matryoshka and transcoders; {name} takes {weight}"
        )
    else:
        built = ", ".join(_NAMES[architecture] for architecture in (*KEEP_K[1:], *PENALIZE))
        scope.refuse(f"{path}.architecture", f"{name} cannot be trained by this version: {built} can")
    for field in ("l1_coefficient", "l0_coefficient", "aux_coefficient"):
        if sae.HasField(field):
            scope.require(0 <= getattr(sae, field) < math.inf, f"{path}.{field}", "is at least 0, and finite")
    for size in ("learning_rate", "bandwidth", "initial_threshold"):
        if sae.HasField(size):
            scope.require(0 < getattr(sae, size) < math.inf, f"{path}.{size}", "is positive and finite")
    _own_fields(sae, path, scope)


def _own_fields(sae: v1.SaeSpec, path: str, scope: Scope) -> None:
    known = sae.jumprelu_penalty in v1.JumpReluPenalty.values()
    scope.require(known, f"{path}.jumprelu_penalty", "is l0 or tanh")
    widths = list(sae.matryoshka_widths)
    if widths and sae.architecture == v1.SAE_ARCHITECTURE_MATRYOSHKA:
        rises = all(low < high for low, high in itertools.pairwise((0, *widths)))
        fits = rises and widths[-1] == sae.d_sae
        scope.require(fits, f"{path}.matryoshka_widths", f"rise, and end with d_sae ({sae.d_sae})")


def _transcoders(spec: v1.TrainSae, path: str, scope: Scope) -> None:
    """Every SAE is trained at every hook point, so one transcoder binds them all."""
    transcoders = [_architecture(sae) for sae in spec.saes if sae.architecture in TRANSCODE]
    for index, name in scope.each(spec.hook_points) if transcoders else ():
        match = _LAYER.fullmatch(name)
        if match is None or match[2] != "mlp_in":
            layer = match[1] if match else "<i>"
            scope.refuse(
                f"{path}.hook_points[{index}]",
                f"a {transcoders[0]} reads the input of an MLP: name layer.{layer}.mlp_in, "
                "and train other SAEs in a job of their own",
            )


def _architecture(sae: v1.SaeSpec) -> str:
    return _NAMES.get(sae.architecture, f"number {sae.architecture}")  # a newer client may know more


def _budget(spec: v1.TrainSae, path: str, scope: Scope) -> None:
    batch = spec.batch_tokens or DEFAULT_BATCH_TOKENS
    scope.require(
        spec.total_tokens >= batch,
        f"{path}.total_tokens",
        f"is at least one batch ({batch} tokens); {spec.total_tokens} was given",
    )
    if spec.HasField("learning_rate"):
        scope.require(0 < spec.learning_rate < math.inf, f"{path}.learning_rate", "is positive and finite")
