"""Requests of the queues datasets and processing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mistudio import v1
from mistudio_gateway.quoting import quoted
from mistudio_gateway.validation.references import check_optional_reference, check_reference, summary_of
from mistudio_gateway.validation.scope import Scope
from mistudio_runtime.bundled import BUNDLED_DATASETS, BUNDLED_MODELS

TEXT_SUFFIXES = (".txt", ".md", ".jsonl", ".csv", ".parquet")
MAX_CONTEXT_LENGTH = 131_072
IN_SPARSIFY = ("topk", "transcoder", "skip_transcoder")
"""Architectures that sparsify's layout has."""
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_REVISION = re.compile(r"[\w./-]*")


def download_dataset(spec: v1.DownloadDataset, path: str, scope: Scope) -> None:
    """Checks where a dataset comes from."""
    source = spec.WhichOneof("source")
    if source == "hub":
        _hub(spec.hub.name, spec.hub.revision, f"{path}.hub", scope)
    elif source == "local":
        _local_files(list(spec.local.paths), f"{path}.local.paths", scope)
    elif source is None or not spec.bundled:
        scope.refuse(path, "name a source: hub, local or bundled")
    else:
        _bundled(spec.bundled, BUNDLED_DATASETS, f"{path}.bundled", scope)


def download_model(spec: v1.DownloadModel, path: str, scope: Scope) -> None:
    """Checks where a model comes from."""
    source = spec.WhichOneof("source")
    if source == "hub":
        _hub(spec.hub.name, spec.hub.revision, f"{path}.hub", scope)
    elif source == "local_path":
        _model_folder(spec.local_path, f"{path}.local_path", scope)
    elif source is None or not spec.bundled:
        scope.refuse(path, "name a source: hub, local_path or bundled")
    else:
        _bundled(spec.bundled, BUNDLED_MODELS, f"{path}.bundled", scope)


def import_sae(spec: v1.ImportSae, path: str, scope: Scope) -> None:
    """Checks the folder of an SAE."""
    folder = scope.local_path(spec.local_path, f"{path}.local_path")
    if folder is not None:
        scope.require(
            (folder / "cfg.json").is_file(),
            f"{path}.local_path",
            f"{spec.local_path} holds no SAE: cfg.json is missing",
        )
    check_optional_reference(scope, spec.model, f"{path}.model", "model")


def export_sae(spec: v1.ExportSae, path: str, scope: Scope) -> None:
    """Checks what is exported and where to."""
    check_reference(scope, spec.sae, f"{path}.sae", "sae")
    folder = scope.local_path(spec.local_path, f"{path}.local_path", must_exist=False)
    if folder is not None and folder.exists():
        empty = folder.is_dir() and not any(folder.iterdir())
        scope.require(empty, f"{path}.local_path", f"{spec.local_path} exists and is not an empty folder")
    scope.require(spec.format in v1.SaeFormat.values(), f"{path}.format", "is saelens or sparsify")
    architecture = summary_of(scope, spec.sae).get("architecture")
    if spec.format == v1.SAE_FORMAT_SPARSIFY and architecture is not None:
        fits = architecture in IN_SPARSIFY
        scope.require(fits, f"{path}.format", f"sparsify has no {architecture} SAEs, only {', '.join(IN_SPARSIFY)}")


def tokenize_dataset(spec: v1.TokenizeDataset, path: str, scope: Scope) -> None:
    """Checks dataset, model and block length."""
    check_reference(scope, spec.dataset, f"{path}.dataset", "dataset")
    check_reference(scope, spec.model, f"{path}.model", "model")
    scope.require(
        spec.context_length != 1 and spec.context_length <= MAX_CONTEXT_LENGTH,
        f"{path}.context_length",
        f"is 2 to {MAX_CONTEXT_LENGTH}, or 0 for the default",
    )
    if spec.HasField("validation_fraction"):
        scope.require(0 <= spec.validation_fraction < 1, f"{path}.validation_fraction", "is at least 0 and less than 1")
    _fits_model(spec, path, scope)
    _text_column(spec, path, scope)


def summarize_dataset(spec: v1.SummarizeDataset, path: str, scope: Scope) -> None:
    """Checks the dataset."""
    check_reference(scope, spec.dataset, f"{path}.dataset", "dataset")


def _fits_model(spec: v1.TokenizeDataset, path: str, scope: Scope) -> None:
    longest = summary_of(scope, spec.model).get("context_length")
    if isinstance(longest, int) and spec.context_length > longest:
        scope.refuse(f"{path}.context_length", f"the model's context length is {longest}")


def _text_column(spec: v1.TokenizeDataset, path: str, scope: Scope) -> None:
    columns = summary_of(scope, spec.dataset).get("columns")
    if not spec.text_column or not columns:
        return
    if spec.text_column not in columns:
        scope.refuse(f"{path}.text_column", f"the dataset has no such column; it has {', '.join(columns)}")
    elif isinstance(columns, dict) and "string" not in str(columns[spec.text_column]):
        scope.refuse(f"{path}.text_column", f"holds {columns[spec.text_column]}, not text")


def _bundled(name: str, known: Sequence[str], path: str, scope: Scope) -> None:
    scope.require(name in known, path, f"{quoted(name)} does not come with miStudio; there is {', '.join(known)}")


def _hub(name: str, revision: str, path: str, scope: Scope) -> None:
    scope.require(bool(_HUB_NAME.fullmatch(name)), f"{path}.name", 'is "owner/name" or "name"')
    scope.require(bool(_REVISION.fullmatch(revision)), f"{path}.revision", "is a branch, a tag or a commit")


def _local_files(paths: list[str], path: str, scope: Scope) -> None:
    scope.require(bool(paths), path, "name at least one file or folder")
    for index, name in scope.each(paths):
        found = scope.local_path(name, f"{path}[{index}]")
        if found is not None and not _has_text(found):
            scope.refuse(f"{path}[{index}]", f"{name} holds no text file ({', '.join(TEXT_SUFFIXES)})")


def _has_text(path: Path) -> bool:
    files = path.rglob("*") if path.is_dir() else [path]
    return any(file.suffix.lower() in TEXT_SUFFIXES and file.is_file() for file in files)


def _model_folder(name: str, path: str, scope: Scope) -> None:
    folder = scope.local_path(name, path)
    if folder is None:
        return
    if not (folder / "config.json").is_file():
        scope.refuse(path, f"{name} holds no model: config.json is missing")
    elif not any(folder.glob("*.safetensors")):
        scope.refuse(path, f"{name} holds no safetensors weights; other formats are not read")
