"""The training report: what stands in it, and that nobody's names can do anything in it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mistudio.v1 import MetricPoint
from mistudio_trainer.report import JobReport, ReportedSae
from mistudio_trainer.report.curve import Curve, curves
from mistudio_trainer.report.throughput import throughput
from support.reported import measured, reported

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&$name"
CHARTS = ["loss", "fvu", "explained_variance", "l0", "dead_fraction"]
CHARTS += ["density", "throughput", "gradient_norm", "learning_rate"]


class Page(HTMLParser):
    """What a browser would make of a page, as far as it matters here."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        if self._open == "script" and data.strip():
            self.scripts.append(data)
        elif data.strip():
            self.texts.append(data)

    @property
    def figures(self) -> list[str]:
        return [str(attrs["id"]).removeprefix("chart-") for tag, attrs in self.tags if tag == "figure"]

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.scripts[0])
        return found


def written(tmp_path: Path, *saes: ReportedSae, index: int = 0) -> str:
    JobReport(saes).write(tmp_path / "report.html", index)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_it_has_every_figure_and_fact(tmp_path: Path) -> None:
    page = Page(written(tmp_path, reported(0)))
    assert page.figures == CHARTS
    assert [chart["id"] for chart in page.data["charts"]] == CHARTS
    told = {
        "tiny",
        "layer.1.resid_post",
        "128,000 in 2 epochs",
        "7",
        "3.14159",
        "sae-one-0",
        "job-one",
        "tokens-tokens-0",
    }
    assert told <= set(page.texts)
    loss = {line["label"] for line in page.data["charts"][0]["series"]}
    assert loss == {"total", "reconstruction"}  # what is 0 all the time is no part of it
    density = next(chart for chart in page.data["charts"] if chart["id"] == "density")
    assert sum(density["series"][0]["y"]) == 20
    assert "4 of 24 never fired" in density["note"]


def test_it_needs_no_network(tmp_path: Path) -> None:
    html = written(tmp_path, reported(0))
    page = Page(html)
    outward = {"src", "href", "action", "data", "srcset", "poster"}
    assert not [attrs for _, attrs in page.tags if outward & set(attrs)]
    assert not {tag for tag, _ in page.tags} & {"link", "iframe", "img", "object", "embed", "form"}
    styles = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert not any("url(" in style or "@import" in style for style in styles)
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert str(policy).startswith("default-src 'none';")
    assert len(html.encode()) < 200_000


def test_what_people_named_is_text_and_nothing_else(tmp_path: Path) -> None:
    evil = reported(0, EVIL, hook=EVIL, model=EVIL)
    page = Page(written(tmp_path, evil, reported(1, f"{EVIL}2")))
    harmless = Page(written(tmp_path, reported(0), reported(1, "other")))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in harmless.tags]
    assert len(page.scripts) == len(harmless.scripts) == 3
    assert page.texts.count(EVIL) >= 3
    assert any(EVIL in line["label"] for chart in page.data["charts"] for line in chart["series"])
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)


def test_a_sweep_is_compared(tmp_path: Path) -> None:
    page = Page(written(tmp_path, *(reported(index, f"sae{index}") for index in range(3)), index=1))
    assert page.figures == ["frontier", *CHARTS]
    frontier, *_ = page.data["charts"]
    assert [(line["label"], line["role"], line["x"]) for line in frontier["series"]] == [
        ("sae0", "other", [4.0]),
        ("sae2", "other", [6.0]),
        ("sae1", "own", [5.0]),
    ]
    rows = [attrs for tag, attrs in page.tags if "data-sae" in attrs]
    assert [(row["data-sae"], row.get("class")) for row in rows] == [("0", None), ("1", "own"), ("2", None)]
    fvu = next(chart for chart in page.data["charts"] if chart["id"] == "fvu")
    assert [line["label"] for line in fvu["series"]] == ["sae0", "sae2", "training"]


def test_a_large_sweep_draws_some_and_lists_all(tmp_path: Path) -> None:
    saes = [reported(index, f"sae{index}", hook=f"layer.{index % 2}.mlp_out") for index in range(30)]
    html = written(tmp_path, *saes, index=3)
    fvu = next(chart for chart in Page(html).data["charts"] if chart["id"] == "fvu")
    assert [line["sae"] for line in fvu["series"][:-1]] == [1, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23]
    assert "The curves of 11 of the 29 others are drawn." in html
    assert html.count("<tr data-sae=") == 30


def test_it_is_made_without_any_point(tmp_path: Path) -> None:
    bare = reported(0)
    bare = ReportedSae(
        **{**vars(bare), "points": [], "summary": {**bare.summary, "metrics": {}, "metrics_split": "train"}}
    )
    assert Page(written(tmp_path, bare)).figures == ["density"]


def test_thinning_keeps_ends_and_peaks() -> None:
    values = [1.0] * 10_000
    values[4_321], values[7_777] = 9.0, -9.0
    thin = Curve(tuple(range(10_000)), tuple(values)).thinned(100)
    assert len(thin.tokens) <= 104
    assert (thin.tokens[0], thin.tokens[-1]) == (0, 9_999)
    assert {9.0, -9.0} <= set(thin.values)
    assert list(thin.tokens) == sorted(thin.tokens)


def test_what_is_not_finite_is_not_drawn() -> None:
    points = [
        MetricPoint(name="loss", value=value, step=1, tokens=at) for at, value in enumerate((1.0, float("nan"), 2.0))
    ]
    assert curves(points)["loss"] == Curve((0, 2), (1.0, 2.0))


@pytest.mark.parametrize("rest", [0, 100_000])
def test_throughput_knows_no_rest_between_attempts(rest: int) -> None:
    early = [point for point in measured("a", steps=20) if point.name == "loss"]
    later = [point for point in measured("a", steps=40, job_start=1_700_000_000 + rest) if point.name == "loss"][20:]
    rates = throughput([*early, *later])
    assert set(rates.values) == {64.0}
    assert len(rates.values) == (39 if rest == 0 else 38)
