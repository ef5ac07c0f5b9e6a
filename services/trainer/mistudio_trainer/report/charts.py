"""Which charts the report has, and what is drawn in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mistudio_trainer.report.curve import Curve
from mistudio_trainer.report.subject import ReportedSae

Chart = dict[str, Any]
Curves = Mapping[str, Curve]

_HELD_OUT = "evaluation/"
_LOG_SPAN = 20
"""A linear axis would flatten what spans more than this ratio."""
_PARTS = {
    "loss": "total",
    "reconstruction_loss": "reconstruction",
    "sparsity_loss": "sparsity penalty",
    "auxiliary_loss": "auxiliary",
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
_OPEN_DENSITY = 2


def curve_charts(own: Curves, others: Sequence[tuple[str, Curves]], speed: Curve) -> list[Chart]:
    """Returns the charts over tokens: of one SAE's curves, the named curves of others, and the job's speed."""
    charts = [_parts(own)]
    for name, title, axis, note in _COMPARED:
        alone = name in _DRAWN_ALONE
        series = _compared(name, own, () if alone else others)
        charts.append(_chart(name, title, _axis(axis, series), note, series))
    note = "Of the whole job, with harvest and evaluations."
    charts.insert(-2, _chart("throughput", "Tokens a second", "linear", note, [speed.series("tokens/s", "own")]))
    return [chart for chart in charts if any(line["x"] for line in chart["series"])]


def density_chart(sae: ReportedSae, others: Sequence[ReportedSae]) -> Chart:
    """Returns the histogram of firing frequencies."""
    edges = sae.density.log10_edges
    series = [{"label": sae.summary["name"], "role": "own", "x": list(edges[:-1]), "y": list(sae.density.counts)}]
    for other in others:
        counts = list(other.density.counts)
        series.append({"label": label(other), "role": "other", "x": list(edges[:-1]), "y": counts})
    dead = f"{sae.density.never_fired:,} of {sae.summary['d_sae']:,} never fired and are not drawn."
    note = f"Latents by the share of tokens on which they fire, late in training. {dead}"
    return _chart("density", "Latent density", "linear", note, series) | {"kind": "histogram"}


def frontier_chart(sae: ReportedSae, others: Sequence[ReportedSae]) -> Chart | None:
    """Returns sparsity against fidelity of all SAEs, None where fewer than two were measured."""
    series = []
    for each in (sae, *others):
        metrics = each.summary["metrics"]
        if "l0" in metrics and "fvu" in metrics:
            role = "own" if each is sae else "other"
            place = {"x": [metrics["l0"]], "y": [metrics["fvu"]]}
            series.append({"label": label(each), "role": role, **place})
    if len(series) < _OPEN_DENSITY:
        return None
    note = "Each dot is an SAE of this job. Left is sparser, low is more faithful."
    return _chart("frontier", "Sparsity against fidelity", _axis("auto", series), note, series) | {"kind": "scatter"}


def label(sae: ReportedSae) -> str:
    """Returns how an SAE is called among those of its job."""
    return f"{sae.summary['name']} · {sae.summary['hook_point']}"


def _chart(name: str, title: str, axis: str, note: str, series: list[dict[str, Any]]) -> Chart:
    return {"id": name, "title": title, "kind": "curve", "axis": axis, "note": note, "series": series}


def _parts(own: Curves) -> Chart:
    # A part that an architecture does not have is 0 all the time.
    found = {name: own[name] for name in _PARTS if name in own and any(own[name].values)}
    roles = {"loss": "own"}
    series = [curve.series(_PARTS[name], roles.get(name, "part")) for name, curve in found.items()]
    note = "What is minimised, and its parts, a token."
    return _chart("loss", "Loss", "log", note, series)


def _compared(name: str, own: Curves, others: Sequence[tuple[str, Curves]]) -> list[dict[str, Any]]:
    series = [own[name].series("training", "own")] if name in own else []
    if _HELD_OUT + name in own:
        series.append(own[_HELD_OUT + name].series("held-out", "held_out"))
    return series + [curves[name].series(called, "other") for called, curves in others if name in curves]


def _axis(wanted: str, series: Sequence[Mapping[str, Any]]) -> str:
    values = [value for line in series for value in line["y"]]
    positive = [value for value in values if value > 0]
    if wanted == "auto":
        wanted = "log" if positive and max(positive) > _LOG_SPAN * min(positive) else "linear"
    return wanted if wanted != "log" or positive else "linear"
