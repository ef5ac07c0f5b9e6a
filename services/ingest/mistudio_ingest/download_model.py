"""Job kind download_model: brings a language model and its tokenizer into the store."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

from google.protobuf.json_format import MessageToDict

from mistudio.v1 import DownloadModel
from mistudio_ingest.fast_tokenizer import TOKENIZER_FILE, load_fast_tokenizer
from mistudio_ingest.hub_model import download_files
from mistudio_ingest.model_folder import inspect_model, wanted_files
from mistudio_ingest.quiet_libraries import quiet_libraries
from mistudio_runtime.jobs import JobContext, PermanentFailure
from mistudio_runtime.paths import resolve_allowed
from mistudio_sae.bundled import UnknownBundledModelError, bundled_model


class _Fetched(NamedTuple):
    folder: Path
    name: str
    ours: bool
    """Whether the files are this job's own, so that they may be linked in place of copied."""
    revision: str = ""


def run(spec: DownloadModel, context: JobContext) -> list[str]:
    """Commits a model artifact in the transformers layout and returns its id.

    Raises PermanentFailure for a model that is missing, not stored as safetensors, of an unknown kind, or without a
    fast tokenizer; TransientFailure for trouble with the network.
    """
    quiet_libraries()
    context.stages({"download": 8, "check": 1, "store": 1})
    fetched = _fetch(spec, context)
    facts = inspect_model(fetched.folder, fetched.name)
    context.progress("check", 1, 1, "models")
    parameters = MessageToDict(spec, preserving_proto_field_name=True)
    with context.draft("model", parents=[], parameters=parameters) as draft:
        _store(fetched, draft.path, context)
        draft.summary.update(facts.as_dict(), name=fetched.name, revision=fetched.revision)
        return [draft.commit()]


def _fetch(spec: DownloadModel, context: JobContext) -> _Fetched:
    match spec.WhichOneof("source"):
        case "hub":
            folder, revision = download_files(spec.hub, context)
            return _Fetched(folder, spec.hub.name, ours=True, revision=revision)
        case "local_path":
            folder = resolve_allowed(spec.local_path, context.settings.allowed_roots)
            if not folder.is_dir():
                raise PermanentFailure(f"{spec.local_path} is no folder on the ingest service's machine")
            _refuse_links_outside(folder, context)
            return _Fetched(folder, folder.name, ours=False)
        case "bundled":
            try:
                return _Fetched(bundled_model(spec.bundled), spec.bundled, ours=False)
            except UnknownBundledModelError as error:
                raise PermanentFailure(str(error)) from error
        case _:
            raise PermanentFailure("no source is given; set hub, local_path or bundled")


def _refuse_links_outside(folder: Path, context: JobContext) -> None:
    for file in folder.iterdir():
        resolve_allowed(str(file), context.settings.allowed_roots)


def _store(fetched: _Fetched, target: Path, context: JobContext) -> None:
    names = wanted_files((file.name for file in fetched.folder.iterdir() if file.is_file()), fetched.name)
    for number, name in enumerate(names, 1):
        context.raise_if_stopped()
        _place(fetched.folder / name, target / name, link=fetched.ours)
        context.progress("store", number, len(names), "files")
    if TOKENIZER_FILE not in names:
        # Everything that reads the artifact can then rely on this one file.
        load_fast_tokenizer(target, fetched.name).backend_tokenizer.save(str(target / TOKENIZER_FILE))


def _place(source: Path, target: Path, *, link: bool) -> None:
    if link:
        try:
            os.link(source, target)
        except OSError:
            pass  # another file system
        else:
            return
    shutil.copyfile(source, target)
