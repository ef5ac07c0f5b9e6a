"""Job kind export_sae: writes an SAE of the store to a folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from mistudio.v1 import ExportSae, SaeFormat
from mistudio_ingest.inputs import Input, artifact_input
from mistudio_runtime.artifacts import FileEntry
from mistudio_runtime.jobs import JobContext, PermanentFailure
from mistudio_runtime.paths import resolve_allowed
from mistudio_sae.formats import load_saelens, save_sparsify

EXPORTED = ("cfg.json", "sae_weights.safetensors", "sparsity.safetensors")
"""What SAELens reads; the artifact has its layout, so these are copied as they are."""


def run(spec: ExportSae, context: JobContext) -> list[str]:
    """Writes the folder all at once; makes no artifact. Repeating it is harmless.

    Raises PermanentFailure if the folder holds something else or cannot be written, SaeFormatError if the layout has
    no such SAEs.
    """
    context.stages({"write": 1})
    if spec.format not in SaeFormat.values():
        raise PermanentFailure(f"format {spec.format} is unknown to this version; choose saelens or sparsify")
    sae = artifact_input(spec.sae, "sae", context)
    target = resolve_allowed(spec.local_path, context.settings.allowed_roots)
    try:
        _write(sae, spec.format, target, context)
    except OSError as error:
        raise PermanentFailure(
            f"{spec.local_path} cannot be written ({error.strerror}); choose another folder", reason="NOT_WRITABLE"
        ) from error
    context.log("info", f"{sae.manifest.id} lies in {target}")
    return []


def _write(sae: Input, layout: SaeFormat.ValueType, target: Path, context: JobContext) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{context.job_id}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        (_write_sparsify if layout == SaeFormat.SAE_FORMAT_SPARSIFY else _write_saelens)(sae, partial, context)
        if not _already_there(partial, target):
            partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _already_there(partial: Path, target: Path) -> bool:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return False
    # Names first: a folder that holds something else may be large.
    if target.is_dir() and _names(target) == _names(partial) and _entries(target) == _entries(partial):
        return True
    raise PermanentFailure(f"{target} is not empty; choose a new folder", reason="FOLDER_NOT_EMPTY")


def _names(folder: Path) -> set[Path]:
    return {file.relative_to(folder) for file in folder.rglob("*") if file.is_file()}


def _entries(folder: Path) -> set[FileEntry]:
    return {FileEntry.of(folder, file) for file in folder.rglob("*") if file.is_file()}


def _write_saelens(sae: Input, folder: Path, context: JobContext) -> None:
    names = [entry.path for entry in sae.manifest.files if entry.path in EXPORTED]
    for number, name in enumerate(names, 1):
        context.raise_if_stopped()
        shutil.copyfile(sae.folder / name, folder / name)
        context.progress("write", number, len(names), "files")


def _write_sparsify(sae: Input, folder: Path, context: JobContext) -> None:
    loaded = load_saelens(sae.folder)
    context.raise_if_stopped()
    save_sparsify(folder, loaded.sae, loaded.provenance.hook_point)
    context.progress("write", 1, 1, "SAEs")
