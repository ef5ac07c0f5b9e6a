"""The job kind extract_features: what each latent of an SAE responds to."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict

from mistudio.v1 import ArtifactRef, ExtractFeatures
from mistudio_extractor.job_reporter import JobReporter, obeying_stops
from mistudio_runtime.artifacts import ArtifactManifest, ArtifactStore
from mistudio_runtime.jobs import JobContext, PermanentFailure
from mistudio_runtime.jobs.inputs import check_tokenizer, input_artifact, parent_of_kind
from mistudio_sae.devices import choose_device, use_available_cores
from mistudio_sae.features import FeatureConfig, FeatureSummary, extract_features
from mistudio_sae.formats import load_saelens
from mistudio_sae.models import HookPoint, load_model
from mistudio_sae.tokens import TokensReader

_SPLIT = "train"
_CONTEXT = 16


def run(spec: ExtractFeatures, context: JobContext) -> list[str]:
    """Measures the latents and stores them as an artifact of kind features; returns its id.

    Raises PermanentFailure for a bad spec, JobStoppedError when asked to stop. There is no checkpoint: a stopped job
    begins anew.
    """
    context.stages({"load": 1, "extract": 20, "write": 2})
    use_available_cores()
    store = context.store
    sae = input_artifact(store, spec.sae, "sae", "sae")
    model = _given_or_parent(store, spec.model, sae, "model")
    tokens = _given_or_parent(store, spec.tokens, sae, "tokens")
    check_tokenizer(store, tokens, model)
    config = _config(spec)
    parameters = MessageToDict(spec, preserving_proto_field_name=True)
    with context.draft("features", parents=[sae.id, model.id, tokens.id], parameters=parameters) as draft:
        context.progress("load", 0, 2, "artifacts")
        loaded = load_saelens(store.path(sae.id))
        context.progress("load", 1, 2, "artifacts")
        context.raise_if_stopped()
        device = choose_device(context.device(spec.device))
        lm = load_model(store.path(model.id), device=device)
        reader = TokensReader.open(store.path(tokens.id))
        context.progress("load", 2, 2, "artifacts")
        hook = HookPoint.parse(str(sae.summary.get("hook_point") or loaded.provenance.hook_point))
        with obeying_stops():
            summary = extract_features(
                lm, reader, spec.split or _SPLIT, hook, loaded.sae.to(device), draft.path, config, JobReporter(context)
            )
        context.raise_if_stopped()
        draft.summary = _summary(summary, sae)
        return [draft.commit()]


def _given_or_parent(store: ArtifactStore, ref: ArtifactRef, sae: ArtifactManifest, kind: str) -> ArtifactManifest:
    if ref.artifact_id:
        return input_artifact(store, ref, kind, kind)
    parent = parent_of_kind(store, sae, kind)
    if parent is None:
        raise PermanentFailure(f"{kind}: {sae.id} does not say which {kind} it was trained on; name it in the spec")
    return parent


def _config(spec: ExtractFeatures) -> FeatureConfig:
    asked = {
        "top_k": spec.top_examples,
        "left_tokens": spec.context_tokens or _CONTEXT,
        "right_tokens": spec.context_tokens or _CONTEXT,
        "histogram_bins": spec.histogram_bins,
        "max_tokens": spec.max_tokens,
        "logit_k": spec.logits,
        "latents": tuple(sorted(set(spec.latents))),
    }
    chosen: dict[str, Any] = {name: value for name, value in asked.items() if value}
    return FeatureConfig(**chosen)


def _summary(summary: FeatureSummary, sae: ArtifactManifest) -> dict[str, Any]:
    return {
        "d_sae": summary.d_sae,
        "latents": summary.latents,
        "alive": summary.latents - summary.dead,
        "tokens": summary.tokens,
        "split": summary.split,
        "hook_point": summary.hook_point,
        "sae": sae.id,
        "most_interesting": summary.most_interesting,
    }
