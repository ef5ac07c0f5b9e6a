"""Job kind import_sae: brings a trained SAE into the store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from google.protobuf.json_format import MessageToDict

from mistudio.v1 import ImportSae
from mistudio_ingest.inputs import Input, artifact_input
from mistudio_ingest.quiet_libraries import quiet_libraries
from mistudio_ingest.sae_files import load_sae
from mistudio_runtime.jobs import JobContext, PermanentFailure
from mistudio_runtime.paths import resolve_allowed
from mistudio_sae.formats import LoadedSae, save_saelens


def run(spec: ImportSae, context: JobContext) -> list[str]:
    """Commits an SAE artifact in the SAELens layout and returns its id.

    Raises PermanentFailure, SaeFormatError or HookPointError for an SAE that is missing, damaged, or of another width
    than its model.
    """
    quiet_libraries()
    context.stages({"read": 1, "write": 1})
    folder = resolve_allowed(spec.local_path, context.settings.allowed_roots)
    model = artifact_input(spec.model, "model", context) if spec.HasField("model") else None
    loaded = load_sae(folder, spec.format)
    loaded = replace(loaded, provenance=replace(loaded.provenance, **_corrections(spec, loaded, model)))
    context.progress("read", 1, 1, "SAEs")
    context.raise_if_stopped()
    parents = [model.manifest.id] if model else []
    parameters = MessageToDict(spec, preserving_proto_field_name=True)
    with context.draft("sae", parents=parents, parameters=parameters) as draft:
        save_saelens(draft.path, loaded.sae, loaded.provenance, loaded.sparsity)
        draft.summary.update(_summary(loaded))
        return [draft.commit()]


def _corrections(spec: ImportSae, loaded: LoadedSae, model: Input | None) -> dict[str, Any]:
    hook_point = spec.hook_point or loaded.provenance.hook_point
    if not hook_point:
        raise PermanentFailure("the SAE's files name no hook point; set hook_point, e.g. layer.3.resid_post")
    if model is None:
        return {"hook_point": hook_point}
    width = model.manifest.summary.get("d_model")
    if hook_point.startswith("layer.") and width not in (None, loaded.config.d_in):
        raise PermanentFailure(
            f"the SAE reads {loaded.config.d_in} numbers a token but {model.name} has {width}; name its own model"
        )
    return {"hook_point": hook_point, "model_name": model.name}


def _summary(loaded: LoadedSae) -> dict[str, Any]:
    return {
        "architecture": loaded.config.architecture,
        "d_in": loaded.config.d_in,
        "d_sae": loaded.config.d_sae,
        "k": loaded.config.k,
        "hook_point": loaded.provenance.hook_point,
        "model_name": loaded.provenance.model_name,
        "imported": True,
    }
