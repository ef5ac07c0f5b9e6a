"""Files of artifacts, fetched through the gateway."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click

from mistudio.blocking.client import Client

_PART = 4 * 2**20


def fetch(client: Client, artifact_id: str, name: str, path: Path) -> int:
    """Writes an artifact's file to `path`, under another name until it is complete; returns its size in bytes.

    Raises NotFoundError if there is no such artifact or file, click.FileError if it cannot be written here.
    """
    wanted = {file.path: file.sha256 for file in client.artifacts.get(artifact_id).artifact.files}
    partial = path.with_name(f".{path.name}.partial")
    digest, size = hashlib.sha256(), 0
    try:
        with partial.open("wb") as file:
            while data := client.artifacts.read_file(artifact_id, name, offset=size, max_bytes=_PART).data:
                file.write(data)
                digest.update(data)
                size += len(data)
        if digest.hexdigest() != wanted.get(name):
            raise click.ClickException(f"{name} arrived damaged: it is not what {artifact_id} lists; fetch it again")
        partial.replace(path)
    except OSError as error:
        raise click.FileError(str(path), error.strerror) from error
    finally:
        partial.unlink(missing_ok=True)
    return size
