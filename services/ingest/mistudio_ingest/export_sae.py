"""Job kind export_sae: writes an SAE of the store to a folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from mistudio.v1 import ExportSae, SaeFormat
from mistudio_ingest.inputs import Input, artifact_input
from mistudio_runtime.artifacts import FileEntry
from mistudio_runtime.jobs import JobContext, PermanentFailure
from mistudio_runtime.paths import resolve_allowed

EXPORTED = ("cfg.json", "sae_weights.safetensors", "sparsity.safetensors")
"""What SAELens reads; the artifact has its layout, so these are copied as they are."""


def run(spec: ExportSae, context: JobContext) -> list[str]:
    """Writes the folder all at once; makes no artifact. Repeating it is harmless.

    Raises PermanentFailure if the folder holds something else or cannot be written.
    """
    context.stages({"write": 1})
    if spec.format not in (SaeFormat.SAE_FORMAT_UNSPECIFIED, SaeFormat.SAE_FORMAT_SAELENS):
        raise PermanentFailure("only the SAELens layout is written; set format to SAE_FORMAT_SAELENS")
    sae = artifact_input(spec.sae, "sae", context)
    target = resolve_allowed(spec.local_path, context.settings.allowed_roots)
    try:
        if _already_there(sae, target):
            return []
        _write(sae, target, context)
    except OSError as error:
        raise PermanentFailure(
            f"{spec.local_path} cannot be written ({error.strerror}); choose another folder", reason="NOT_WRITABLE"
        ) from error
    context.log("info", f"{sae.manifest.id} lies in {target}")
    return []


def _already_there(sae: Input, target: Path) -> bool:
    if target.is_dir() and not any(target.iterdir()):
        return False
    if not target.exists():
        return False
    wanted = {entry for entry in sae.manifest.files if entry.path in EXPORTED}
    if target.is_dir() and {FileEntry.of(target, file) for file in target.iterdir() if file.is_file()} == wanted:
        return True
    raise PermanentFailure(f"{target} is not empty; choose a new folder", reason="FOLDER_NOT_EMPTY")


def _write(sae: Input, target: Path, context: JobContext) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{context.job_id}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        names = [entry.path for entry in sae.manifest.files if entry.path in EXPORTED]
        for number, name in enumerate(names, 1):
            context.raise_if_stopped()
            shutil.copyfile(sae.folder / name, partial / name)
            context.progress("write", number, len(names), "files")
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
