"""The reports of all SAEs of a job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mistudio_trainer.report.charts import Chart, curve_charts, density_chart, frontier_chart, names_of
from mistudio_trainer.report.curve import Curve, curves
from mistudio_trainer.report.page import page
from mistudio_trainer.report.subject import ReportedSae
from mistudio_trainer.report.throughput import throughput

REPORT_NAME = "report.html"
_POINTS = 800
"""Of a curve of the SAE that a report is about; a chart is some 600 pixels wide."""
_POINTS_BESIDE = 160
"""Of a curve that is drawn for comparison."""
_MOST_BESIDE = 11
"""Others whose curves are drawn: more lines could not be told apart, and each page carries them."""


class JobReport:
    """Makes one report an SAE, which shows the others of its job beside it.

    Each artifact is complete in itself, may be sent to somebody and outlives the others; so there is no report of the
    job as such, and each says what the job's others reached.
    """

    def __init__(self, saes: Sequence[ReportedSae]) -> None:
        """Takes all SAEs of the job, in the order of its outputs."""
        self.saes = saes
        """Whom the reports are about."""
        whole = [curves(sae.points) for sae in saes]
        self._own = [_thinned(each, _POINTS) for each in whole]
        self._beside = [_thinned(each, _POINTS_BESIDE) for each in whole]

    def write(self, path: Path, index: int) -> None:
        """Writes the report of output number `index`. Raises OSError."""
        names, beside = names_of(self.saes), self._neighbours(index)
        speed = throughput(point for point in self.saes[index].points if point.name == "loss")
        charts = curve_charts(self._own[index], {place: self._beside[place] for place in beside}, names, speed)
        charts.insert(_density_place(charts), density_chart(self.saes, index, beside, names))
        frontier = frontier_chart(self.saes, index, names)
        charts = [*([frontier] if frontier else []), *charts]
        path.write_text(page(self.saes, index, charts, speed, drawn=len(beside)), encoding="utf-8")

    def _neighbours(self, index: int) -> list[int]:
        """Returns whose curves are drawn beside: those on the same hook point first."""
        hook = self.saes[index].summary["hook_point"]
        others = [other for other in range(len(self.saes)) if other != index]
        return sorted(others, key=lambda other: self.saes[other].summary["hook_point"] != hook)[:_MOST_BESIDE]


def _thinned(whole: dict[str, Curve], most: int) -> dict[str, Curve]:
    return {name: curve.thinned(most) for name, curve in whole.items()}


def _density_place(charts: Sequence[Chart]) -> int:
    """Returns the place after the dead latents, which the histogram goes on about."""
    return next((place + 1 for place, chart in enumerate(charts) if chart["id"] == "dead_fraction"), len(charts))
