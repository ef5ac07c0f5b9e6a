"""Text from files on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from mistudio.v1 import LocalFiles
from mistudio_ingest.batch import Batch
from mistudio_ingest.json_lines import read_json_lines
from mistudio_ingest.table_files import read_csv, read_parquet
from mistudio_ingest.text_files import read_text
from mistudio_runtime.jobs import JobContext, PermanentFailure
from mistudio_runtime.jobs.text import carried
from mistudio_runtime.paths import resolve_allowed

Reader = Callable[[BinaryIO, str], Iterator[pa.Table]]
READERS: dict[str, Reader] = {
    ".txt": read_text,
    ".md": read_text,
    ".jsonl": read_json_lines,
    ".csv": read_csv,
    ".parquet": read_parquet,
}


def read_local(spec: LocalFiles, context: JobContext) -> Iterator[Batch]:
    """Yields the rows of all files, folders in the order of their names.

    Raises PermanentFailure if a path is missing, unreadable, broken or of an unknown kind, or there is no file at
    all; PathNotAllowedError if a path or a link leads outside the allowed roots.
    """
    files = find_files(spec.paths, context.settings.allowed_roots)
    sizes = [file.stat().st_size for file in files]
    before = 0
    for file, size in zip(files, sizes, strict=True):
        if size == 0:
            context.log("warning", f"{file.name} is empty and left out")
        for table, position in _read(file) if size else ():
            yield Batch(table, carried(file.name), before + position, sum(sizes), "bytes")
        before += size


def find_files(paths: Sequence[str], roots: Sequence[Path]) -> list[Path]:
    """Returns the files that `paths` name, folders searched recursively for known kinds, each once and resolved.

    Raises PermanentFailure or PathNotAllowedError as read_local does.
    """
    if not paths:
        raise PermanentFailure("no path is given; name files or folders with text", reason="NO_FILES")
    found: dict[Path, None] = {}
    for path in paths:
        resolved = resolve_allowed(path, roots)
        if resolved.is_dir():
            found.update(dict.fromkeys(resolve_allowed(str(file), roots) for file in _in_folder(resolved)))
        elif not resolved.is_file():
            raise PermanentFailure(f"{path} does not exist on the ingest service's machine", reason="NO_FILES")
        elif resolved.suffix.lower() not in READERS:
            raise PermanentFailure(f"{path} is of no known kind; give {_kinds()} files, or a folder with such files")
        else:
            found[resolved] = None
    if not found:
        raise PermanentFailure(f"{', '.join(paths)} holds no {_kinds()} file", reason="NO_FILES")
    return list(found)


def _in_folder(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in READERS
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )


def _read(file: Path) -> Iterator[tuple[pa.Table, int]]:
    try:
        with file.open("rb") as stream:
            for table in READERS[file.suffix.lower()](stream, carried(file.name)):
                yield table, stream.tell()
    except UnicodeDecodeError as error:
        raise PermanentFailure(f"{file.name} is not UTF-8 text; convert it to UTF-8", reason="BROKEN_FILE") from error
    except PermissionError as error:
        raise PermanentFailure(
            f"the ingest service may not read {file}; change the file's permissions", reason="UNREADABLE_FILE"
        ) from error
    except (OSError, pa.ArrowException) as error:
        why = str(error).strip().splitlines()[0]
        raise PermanentFailure(
            f"{file.name} cannot be read ({why}); repair or leave it out", reason="BROKEN_FILE"
        ) from error


def _kinds() -> str:
    return ", ".join(suffix.removeprefix(".") for suffix in READERS)
