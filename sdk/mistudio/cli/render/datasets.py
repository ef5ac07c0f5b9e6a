"""Rows and tokens."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from mistudio import v1
from mistudio.cli.render.style import table
from mistudio.cli.render.tokens import visible

_STRIPES = ("on grey19", "on grey30")


def render_rows(answer: v1.PreviewDatasetResponse) -> RenderableType:
    """Returns rows of a dataset."""
    made = table(">row", "text")
    for row in answer.rows:
        made.add_row(str(row.index), Text(row.text + ("…" if row.truncated else "")))
    return Group(made, Text(f"{answer.total_rows:,} rows in all", style="dim"))


def render_tokens(tokens: Sequence[v1.Token], *, colour: bool) -> RenderableType:
    """Returns the tokens in stripes, or with bars between where there is no colour, and their ids below."""
    text = Text()
    for index, token in enumerate(tokens):
        text.append(visible(token.text), style=_STRIPES[index % 2] if colour else "")
        text.append("" if colour or index + 1 == len(tokens) else "|")
    ids = " ".join(str(token.id) for token in tokens)
    return Group(text, Text(ids, style="dim"), Text(f"{len(tokens)} tokens", style="dim"))
