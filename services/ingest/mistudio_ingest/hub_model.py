"""Model files from the hub."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import hf_hub_download

from mistudio.v1 import HubRepository
from mistudio_ingest.hub import endpoint, hub_api, hub_failures, token
from mistudio_ingest.model_folder import wanted_files
from mistudio_runtime.jobs import JobContext


def download_files(spec: HubRepository, context: JobContext) -> tuple[Path, str]:
    """Downloads the wanted files of a repository, each resumed where an earlier attempt left it.

    Returns the folder, which lies in the job's scratch, and the commit that was downloaded. Raises PermanentFailure or
    TransientFailure.
    """
    what = f"model {spec.name}"
    # One file at a time, not snapshot_download: that one answers a failing network with whatever lies there already.
    with hub_failures(what):
        info = hub_api().model_info(spec.name, revision=spec.revision or None, files_metadata=True)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
    names = wanted_files(sizes, what)
    folder = context.scratch / f"model-{info.sha}"
    done, total = 0, sum(sizes[name] for name in names)
    for name in names:
        context.raise_if_stopped()
        context.progress("download", done, total, "bytes")
        with hub_failures(what):
            hf_hub_download(spec.name, name, revision=info.sha, local_dir=folder, token=token(), endpoint=endpoint())
        done += sizes[name]
    context.progress("download", done, total, "bytes")
    return folder, str(info.sha)
