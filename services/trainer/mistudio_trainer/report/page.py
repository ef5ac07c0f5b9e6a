"""Puts the report's page together. Whatever people named reaches it as text only."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from mistudio_trainer.report.charts import Chart
from mistudio_trainer.report.curve import Curve
from mistudio_trainer.report.facts import comparison, evaluation, facts, subtitle, tiles
from mistudio_trainer.report.subject import ReportedSae

_NUMERIC_FROM = 3
"""Columns of the comparison from here on, but the last, are numbers."""


def page(saes: Sequence[ReportedSae], index: int, charts: Sequence[Chart], speed: Curve, *, drawn: int) -> str:
    """Returns the HTML of the report on the SAE at `index`, with `drawn` others of its job beside it."""
    sae, summary = saes[index], saes[index].summary
    scripts = _asset("uplot.min.js"), _asset("page.js")
    held_out = summary["metrics_split"] == "validation"
    values = {
        "title": escape(f"{summary['name']} on {summary['hook_point']}"),
        "name": escape(summary["name"]),
        "subtitle": escape(subtitle(sae)),
        "tiles": "".join(_tile(*tile) for tile in tiles(sae, speed)),
        "facts": "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts(sae)),
        "split": "On held-out tokens" if held_out else "Of the last training step: there were no held-out tokens",
        "evaluation": _rows(evaluation(sae)),
        "comparison": _comparison(saes, index, drawn) if len(saes) > 1 else "",
        "figures": "".join(_figure(chart) for chart in charts),
        "data": _json({"charts": list(charts), "tokens": summary["tokens_trained"], "batch": _batch(sae)}),
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "css": _asset("uplot.min.css") + _asset("page.css"),
        "licence": _asset("uplot.LICENSE"),
        "uplot": scripts[0],
        "script": scripts[1],
        "policy": " ".join(_digest(script) for script in scripts),
    }
    return Template(_asset("page.html")).substitute(values)


@cache
def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8").strip()


def _digest(script: str) -> str:
    """Returns what the content security policy knows a script by: no other script may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _json(value: Any) -> str:
    """Returns JSON that cannot end the script element that it stands in."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _batch(sae: ReportedSae) -> int:
    point = next((point for point in sae.points if point.step), None)
    return point.tokens // point.step if point else 0


def _tile(name: str, value: str) -> str:
    return f'<div class="tile"><span>{escape(name)}</span><strong>{escape(value)}</strong></div>'


def _rows(rows: Iterable[tuple[str, str, str]]) -> str:
    head = '<tr><th scope="row">{}<small>{}</small></th><td class="number">{}</td></tr>'
    return "".join(head.format(escape(name), escape(meaning), escape(value)) for name, value, meaning in rows)


def _figure(chart: Chart) -> str:
    name, title, note = (escape(str(chart[field])) for field in ("id", "title", "note"))
    return (
        f'<figure id="chart-{name}" class="card chart"><figcaption><h3>{title}</h3><p>{note}</p></figcaption>'
        f'<div class="legend"></div><div class="plot" role="img" aria-label="{title}"></div></figure>'
    )


def _comparison(saes: Sequence[ReportedSae], index: int, drawn: int) -> str:
    head, rows = comparison(saes)
    marks = [' class="own"' if place == index else "" for place in range(len(saes))]
    body = "".join(f'<tr data-sae="{place}"{marks[place]}>{_cells(row)}</tr>' for place, row in enumerate(rows))
    titles = "".join(f"<th{_numeric(place, len(head))}>{escape(name)}</th>" for place, name in enumerate(head))
    left_out = "" if drawn == len(saes) - 1 else f" The curves of {drawn} of the {len(saes) - 1} others are drawn."
    note = f"This one is marked. The colours are those of the curves; click one to hide or show it.{left_out}"
    return (
        f'<section class="card"><h2>All {len(saes)} SAEs of this job</h2><p>{note}</p>'
        f'<div class="scroll"><table class="compare"><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>'
        "</div></section>"
    )


def _cells(row: Sequence[str]) -> str:
    title = f' title="{escape(row[0])}"'
    cells = [
        f"<td{_numeric(place, len(row))}{'' if place else title}>{escape(text)}</td>" for place, text in enumerate(row)
    ]
    return "".join(cells)


def _numeric(place: int, columns: int) -> str:
    return ' class="number"' if _NUMERIC_FROM <= place < columns - 1 else ""
