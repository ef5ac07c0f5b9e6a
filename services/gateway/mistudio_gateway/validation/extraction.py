"""Requests of the queue extraction."""

from __future__ import annotations

from mistudio import v1
from mistudio_gateway.validation.references import check_optional_reference, check_reference, summary_of
from mistudio_gateway.validation.scope import Scope
from mistudio_gateway.validation.training import check_device, check_hook_points

SPLITS = ("", "train", "validation")
ACTIVATION_DTYPES = ("", "float32", "float16", "bfloat16")
MAX_EXAMPLES = 1_000
MAX_CONTEXT = 512
MAX_BINS = 1_024


def extract_activations(spec: v1.ExtractActivations, path: str, scope: Scope) -> None:
    """Checks model, tokens and hook points."""
    check_reference(scope, spec.model, f"{path}.model", "model")
    check_reference(scope, spec.tokens, f"{path}.tokens", "tokens")
    check_hook_points(list(spec.hook_points), spec.model, f"{path}.hook_points", scope)
    scope.require(spec.dtype in ACTIVATION_DTYPES, f"{path}.dtype", "is float32, float16 or bfloat16")
    check_device(spec.device, f"{path}.device", scope)


def extract_features(spec: v1.ExtractFeatures, path: str, scope: Scope) -> None:
    """Checks the SAE and what is asked of it."""
    check_reference(scope, spec.sae, f"{path}.sae", "sae")
    check_optional_reference(scope, spec.model, f"{path}.model", "model")
    check_optional_reference(scope, spec.tokens, f"{path}.tokens", "tokens")
    scope.require(spec.split in SPLITS, f"{path}.split", "is train or validation")
    scope.require(spec.top_examples <= MAX_EXAMPLES, f"{path}.top_examples", f"is at most {MAX_EXAMPLES}")
    scope.require(spec.context_tokens <= MAX_CONTEXT, f"{path}.context_tokens", f"is at most {MAX_CONTEXT}")
    bins = spec.histogram_bins
    scope.require(
        bins == 0 or (bins <= MAX_BINS and bins.bit_count() == 1),
        f"{path}.histogram_bins",
        f"is a power of two up to {MAX_BINS}",
    )
    d_sae = summary_of(scope, spec.sae).get("d_sae")
    if isinstance(d_sae, int) and any(latent >= d_sae for latent in spec.latents):
        scope.refuse(f"{path}.latents", f"the SAE has the latents 0 to {d_sae - 1}")
    check_device(spec.device, f"{path}.device", scope)
