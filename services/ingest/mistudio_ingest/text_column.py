"""Which column of a table holds the text."""

from __future__ import annotations

import pyarrow as pa

from mistudio_runtime.jobs import PermanentFailure

_USUAL_NAMES = ("text", "content")


def is_text(kind: pa.DataType) -> bool:
    """Tells whether a column of this type holds text."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def choose_text_column(schema: pa.Schema, wanted: str, source: str) -> str:
    """Returns `wanted`, or without it "text", "content" or the first column of text.

    Raises PermanentFailure, naming the columns there are, if the column is missing, twice there, or not text.
    """
    texts = [field.name for field in schema if is_text(field.type)]
    if wanted and wanted not in texts:
        raise PermanentFailure(_why_not(schema, wanted, source, texts), reason="NO_TEXT_COLUMN")
    if not texts:
        raise PermanentFailure(
            f"{source} has no column of text (its columns: {_listed(schema.names)}); give data with one",
            reason="NO_TEXT_COLUMN",
        )
    chosen = wanted or next((name for name in _USUAL_NAMES if name in texts), texts[0])
    if schema.names.count(chosen) > 1:
        raise PermanentFailure(f"{source} has two columns {chosen!r}; rename one", reason="NO_TEXT_COLUMN")
    return chosen


def _why_not(schema: pa.Schema, wanted: str, source: str, texts: list[str]) -> str:
    choice = f"set text_column to one of: {_listed(texts)}" if texts else "it has no column of text at all"
    if wanted in schema.names:
        return f"column {wanted!r} of {source} is {schema.field(schema.names.index(wanted)).type}, not text; {choice}"
    return f"{source} has no text column {wanted!r}; {choice}"


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"
