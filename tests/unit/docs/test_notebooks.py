"""Examples open as notebooks: jupytext's percent format, read here without jupytext."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from support.pages import ROOT

EXAMPLES = [pytest.param(path, id=path.name) for path in sorted((ROOT / "examples").glob("*.py"))]
CELL = re.compile(r"^# %%(?: \[(\w+)\])?$", re.MULTILINE)

pytestmark = pytest.mark.parametrize("example", EXAMPLES)


def cells(example: Path) -> list[tuple[str, str]]:
    """Returns kind ("code" or "markdown") and text of each cell, after the header."""
    text = example.read_text(encoding="utf-8")
    header, *parts = CELL.split(text)
    assert re.fullmatch(r"# ---\n(#.*\n)+# ---\n+", header), "the header says that this is a notebook"
    assert "#       format_name: percent\n" in header
    return [(kind or "code", content) for kind, content in zip(parts[::2], parts[1::2], strict=True)]


def test_every_cell_is_whole(example: Path) -> None:
    found = cells(example)
    assert found[0][0] == "markdown"
    assert {kind for kind, _ in found} == {"code", "markdown"}
    for kind, content in found:
        if kind == "markdown":
            assert all(line.startswith("#") for line in content.split("\n") if line), content
        else:
            assert ast.parse(content).body, content


def test_no_cell_needs_more_than_the_client(example: Path) -> None:
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(ast.parse(example.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported <= {"asyncio", "concurrent.futures", "mistudio"}
