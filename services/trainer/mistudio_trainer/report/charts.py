"""Which charts the report has, and what is drawn in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mistudio_trainer.report.curve import Curve
from mistudio_trainer.report.subject import ReportedSae

Chart = dict[str, Any]
Curves = Mapping[str, Curve]
Beside = Mapping[int, Curves]
"""Curves of other SAEs of the job, by their place in it; the place names their row in the table, which is their key."""

_HELD_OUT = "evaluation/"
_LOG_SPAN = 20
"""A linear axis would flatten what spans more than this ratio."""
_PARTS = {
    "auxiliary_loss": "auxiliary",
    "sparsity_loss": "sparsity penalty",
    "reconstruction_loss": "reconstruction",
    "loss": "total",
}
_COMPARED = (
    ("fvu", "Variance unexplained (FVU)", "log", "Lower is better. 0.1 means that a tenth of the variance is lost."),
    ("explained_variance", "Explained variance", "linear", "1 - FVU. Held-out tokens were never trained on."),
    ("l0", "Active latents a token (L0)", "auto", "How many latents explain one token."),
    ("dead_fraction", "Dead latents", "percent", "Share that has been silent for the whole dead window."),
    ("gradient_norm", "Gradient norm", "log", "Before clipping. Spikes come before trouble."),
    ("learning_rate", "Learning rate", "linear", "Warm-up, constant, decay."),
)
_DRAWN_ALONE = {"learning_rate"}
_FEWEST_DOTS = 2


def curve_charts(own: Curves, others: Beside, names: Sequence[str], speed: Curve) -> list[Chart]:
    """Returns the charts over tokens: of one SAE's curves, those of others with all SAEs' names, and the speed."""
    charts = [_parts(own)]
    for name, title, axis, note in _COMPARED:
        series = _compared(name, own, {} if name in _DRAWN_ALONE else others, names)
        charts.append(_chart(name, title, _axis(axis, series), note, series))
    note = "Of the whole job, with harvest and evaluations."
    charts.insert(-2, _chart("throughput", "Tokens a second", "linear", note, [speed.series("tokens/s", "own")]))
    return [chart for chart in charts if any(line["x"] for line in chart["series"])]


def density_chart(saes: Sequence[ReportedSae], index: int, beside: Iterable[int], names: Sequence[str]) -> Chart:
    """Returns the histogram of firing frequencies of the SAE at `index`, and of those beside it."""
    own = saes[index].density
    places = [*beside, index]
    edges = list(own.log10_edges[:-1])
    densities = [{"x": edges, "y": list(saes[place].density.counts)} for place in places]
    series = [_of(place, index, names) | line for place, line in zip(places, densities, strict=True)]
    dead = f"{own.never_fired:,} of {sum(own.counts) + own.never_fired:,} never fired and are not drawn."
    note = f"Latents by the share of tokens on which they fire, late in training. {dead}"
    return _chart("density", "Latent density", "linear", note, series) | {"kind": "histogram"}


def frontier_chart(saes: Sequence[ReportedSae], index: int, names: Sequence[str]) -> Chart | None:
    """Returns sparsity against fidelity of all SAEs, None where fewer than two were measured."""
    measured = {place: sae.summary["metrics"] for place, sae in enumerate(saes)}
    series = [
        _of(place, index, names) | {"x": [metrics["l0"]], "y": [metrics["fvu"]]}
        for place, metrics in sorted(measured.items(), key=lambda item: item[0] == index)
        if "l0" in metrics and "fvu" in metrics
    ]
    if len(series) < _FEWEST_DOTS:
        return None
    note = "L0 to the right, FVU upwards; each dot is an SAE of this job. Left is sparser, low is more faithful."
    return _chart("frontier", "Sparsity against fidelity", _axis("auto", series), note, series) | {"kind": "scatter"}


def names_of(saes: Sequence[ReportedSae]) -> list[str]:
    """Returns how SAEs are called among those of their job: with their hook point where there are several."""
    several = len({sae.summary["hook_point"] for sae in saes}) > 1
    return [sae.summary["name"] + (f" · {sae.summary['hook_point']}" if several else "") for sae in saes]


def _of(place: int, index: int, names: Sequence[str]) -> Chart:
    return {"label": names[place], "role": "own" if place == index else "other", "sae": place}


def _chart(name: str, title: str, axis: str, note: str, series: list[dict[str, Any]]) -> Chart:
    return {"id": name, "title": title, "kind": "curve", "axis": axis, "note": note, "series": series}


def _parts(own: Curves) -> Chart:
    # A part that an architecture does not have is 0 all the time.
    found = {name: own[name] for name in _PARTS if name in own and any(own[name].values)}
    roles = {"loss": "own"}
    series = [curve.series(_PARTS[name], roles.get(name, "part")) for name, curve in found.items()]
    note = "What is minimised, and its parts, a token."
    return _chart("loss", "Loss", "log", note, series)


def _compared(name: str, own: Curves, others: Beside, names: Sequence[str]) -> list[dict[str, Any]]:
    """Returns what is drawn below first, what it is about last and so on top."""
    beside = {place: curves[name] for place, curves in others.items() if name in curves}
    series = [curve.series(names[place], "other") | {"sae": place} for place, curve in beside.items()]
    if _HELD_OUT + name in own:
        series.append(own[_HELD_OUT + name].series("held-out", "held_out"))
    return series + ([own[name].series("training", "own")] if name in own else [])


def _axis(wanted: str, series: Sequence[Mapping[str, Any]]) -> str:
    values = [value for line in series for value in line["y"]]
    positive = [value for value in values if value > 0]
    if wanted == "auto":
        wanted = "log" if positive and max(positive) > _LOG_SPAN * min(positive) else "linear"
    return wanted if wanted != "log" or positive else "linear"
