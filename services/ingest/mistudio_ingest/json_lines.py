"""JSON Lines files as rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from mistudio_runtime.jobs import PermanentFailure

_BATCH_ROWS = 1000
_BATCH_BYTES = 4 << 20


def read_json_lines(stream: BinaryIO, name: str) -> Iterator[pa.Table]:
    """Yields tables with the keys that hold text in the first rows: nothing else has one type through a whole file.

    Raises PermanentFailure naming the line that is no JSON object, or in which such a key holds something else.
    """
    columns: list[str] | None = None
    for rows in _batches(stream, name):
        if columns is None:
            columns = _text_keys([row for _, row in rows])
        yield pa.table({key: pa.array([_text(row, key, number, name) for number, row in rows]) for key in columns})


def _batches(stream: BinaryIO, name: str) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    rows: list[tuple[int, dict[str, Any]]] = []
    size = 0
    for number, line in enumerate(stream, 1):
        if line.strip():
            rows.append((number, _row(line, number, name)))
            size += len(line)
        if len(rows) >= _BATCH_ROWS or size >= _BATCH_BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def _row(line: bytes, number: int, name: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise _broken(f"line {number} of {name} is not JSON ({error}); repair or remove it") from error
    if not isinstance(row, dict):
        raise _broken(f"line {number} of {name} is no JSON object; write one object a line")
    return row


def _text_keys(rows: list[dict[str, Any]]) -> list[str]:
    keys = dict.fromkeys(key for row in rows for key in row)
    return [key for key in keys if all(isinstance(row.get(key), str | None) for row in rows)]


def _text(row: dict[str, Any], key: str, number: int, name: str) -> str | None:
    value = row.get(key)
    if value is not None and not isinstance(value, str):
        raise _broken(f"line {number} of {name} holds no text under {key!r} as the lines before do; make it a string")
    # A lone surrogate is legal in JSON and cannot be written as UTF-8.
    return value if value is None else value.encode("utf-8", "replace").decode("utf-8")


def _broken(message: str) -> PermanentFailure:
    return PermanentFailure(message, reason="BROKEN_FILE")
