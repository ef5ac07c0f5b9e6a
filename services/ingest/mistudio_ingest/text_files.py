"""Plain text files as rows."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import BinaryIO

import pyarrow as pa

PIECE_CHARACTERS = 16_384
"""A longer file becomes several rows, so that no row is too large and a share of the rows can be held out."""
_CHUNK_BYTES = 1 << 16
_BATCH_PIECES = 256
_BREAKS = ("\n\n", "\n", " ")


def read_text(stream: BinaryIO, name: str) -> Iterator[pa.Table]:
    """Yields tables (text, file, part); the parts of a file, joined, are the file.

    Raises UnicodeDecodeError if it is not UTF-8.
    """
    parts = enumerate(split_text(_decoded(stream)))
    while batch := [*islice(parts, _BATCH_PIECES)]:
        numbers, texts = zip(*batch, strict=True)
        yield pa.table({"text": texts, "file": [name] * len(texts), "part": pa.array(numbers, pa.int64())})


def split_text(chunks: Iterable[str], limit: int = PIECE_CHARACTERS) -> Iterator[str]:
    """Yields pieces of at most `limit` characters that end at an empty line, else a line's end, else a space."""
    rest = ""
    for chunk in chunks:
        rest += chunk
        while len(rest) > limit:
            end = _break(rest[:limit])
            yield rest[:end]
            rest = rest[end:]
    if rest:
        yield rest


def _decoded(stream: BinaryIO) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    while chunk := stream.read(_CHUNK_BYTES):
        yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)


def _break(text: str) -> int:
    for mark in _BREAKS:
        if (at := text.rfind(mark)) > 0:
            return at + len(mark)
    return len(text)
