"""The job kind extract_activations: the activations of a model at hook points, on disk."""

from __future__ import annotations

import torch
from google.protobuf.json_format import MessageToDict

from mistudio.v1 import ExtractActivations
from mistudio_extractor.activation_shards import ActivationShards
from mistudio_extractor.token_batches import TokenBatches
from mistudio_runtime.artifacts import ArtifactManifest
from mistudio_runtime.jobs import JobContext, PermanentFailure
from mistudio_runtime.jobs.inputs import check_tokenizer, input_artifact
from mistudio_sae.devices import choose_device, use_available_cores
from mistudio_sae.models import HookPoint, load_model, resolve
from mistudio_sae.tokens import TokensReader

_SPLIT = "train"
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def run(spec: ExtractActivations, context: JobContext) -> list[str]:
    """Stores activations as an artifact of kind activations; returns its id.

    Raises PermanentFailure for a bad spec, JobStoppedError when asked to stop. There is no checkpoint: a stopped job
    begins anew.
    """
    context.stages({"load": 1, "extract": 20})
    use_available_cores()
    model = input_artifact(context.store, spec.model, "model", "model")
    tokens = input_artifact(context.store, spec.tokens, "tokens", "tokens")
    check_tokenizer(context.store, tokens, model)
    hooks, dtype = _hook_points(spec), _dtype(spec)
    context.progress("load", 0, 1, "models")
    lm = load_model(context.store.path(model.id), device=choose_device(context.device(spec.device)))
    for hook in hooks:
        resolve(lm, hook)
    batches = TokenBatches(lm, TokensReader.open(context.store.path(tokens.id)), _SPLIT, spec.max_tokens)
    context.progress("load", 1, 1, "models")
    parameters = MessageToDict(spec, preserving_proto_field_name=True)
    with context.draft("activations", parents=[model.id, tokens.id], parameters=parameters) as draft:
        shards = ActivationShards(draft.path)
        _extract(batches, hooks, dtype, shards, context)
        draft.summary = _close(shards, batches, dtype, model)
        return [draft.commit()]


def _extract(
    batches: TokenBatches, hooks: list[HookPoint], dtype: torch.dtype, shards: ActivationShards, context: JobContext
) -> None:
    for batch in batches.read(hooks):
        context.raise_if_stopped()
        converted = {name: x.to(dtype).cpu() for name, x in batch.activations.items()}
        for name, x in converted.items():
            if not bool(x.isfinite().all()):
                raise PermanentFailure(
                    f"dtype: an activation at {name} is not finite as {_name(dtype)}; take float32 or bfloat16",
                    reason="NOT_FINITE",
                )
        shards.add(converted, batch.places)
        context.progress("extract", batch.done_tokens, batches.total_tokens, "tokens")
    context.raise_if_stopped()


def _close(
    shards: ActivationShards, batches: TokenBatches, dtype: torch.dtype, model: ArtifactManifest
) -> dict[str, object]:
    index = shards.close(
        model=model.name,
        split=_SPLIT,
        context_length=batches.context_length,
        blocks=batches.total_blocks,
        dtype=_name(dtype),
    )
    return {**index, "shards": len(index["shards"])}


def _hook_points(spec: ExtractActivations) -> list[HookPoint]:
    if not spec.hook_points:
        raise PermanentFailure("hook_points: name at least one, e.g. layer.3.resid_post")
    return [HookPoint.parse(name) for name in dict.fromkeys(spec.hook_points)]


def _dtype(spec: ExtractActivations) -> torch.dtype:
    dtype = _DTYPES.get(spec.dtype or "float32")
    if dtype is None:
        raise PermanentFailure(f"dtype: {spec.dtype!r} is unknown; choose one of {', '.join(_DTYPES)}")
    return dtype


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
