"""Findings for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mistudio import v1
from mistudio.cli.doctor.findings import Found, Summary

_MARKS = {
    v1.SEVERITY_OK: ("✓", "green"),
    v1.SEVERITY_WARNING: ("!", "yellow"),
    v1.SEVERITY_PROBLEM: ("✗", "bold red"),
}


def render(found: Sequence[Found], summary: Summary, *, colour: bool) -> RenderableType:
    """Returns a line for each finding, the command that helps beneath it, and the summary as the last line."""
    grid = Table.grid(padding=(0, 2))
    for _ in range(3):
        grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for one in found:
        grid.add_row(*_row(one, colour=colour))
    return Group(grid, Text(summary.sentence(), style=_summary_style(summary)))


def _row(one: Found, *, colour: bool) -> tuple[Text, ...]:
    mark, style = _MARKS.get(one.severity, ("?", "yellow"))
    fine = one.severity == v1.SEVERITY_OK
    words = "dim" if fine and colour else ""
    sentence = Text(one.finding.message, style=words)
    if one.finding.command:
        sentence.append(f"\n{one.finding.command}", style="bold")
    return (
        Text(mark, style=style),
        Text(one.where, style="dim"),
        Text(one.finding.check, style=words or style),
        sentence,
    )


def _summary_style(summary: Summary) -> str:
    severities = ((summary.problems, v1.SEVERITY_PROBLEM), (summary.warnings, v1.SEVERITY_WARNING))
    return next((_MARKS[severity][1] for count, severity in severities if count), _MARKS[v1.SEVERITY_OK][1])
