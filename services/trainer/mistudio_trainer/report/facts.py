"""What the report says in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from mistudio_trainer.report.curve import Curve
from mistudio_trainer.report.subject import ReportedSae

_MEANINGS = {
    "explained_variance": ("Explained variance", "1 - FVU"),
    "fvu": ("Variance unexplained (FVU)", "Σ‖x - x̂‖² / Σ‖x - mean x‖²"),
    "l0": ("L0", "mean active latents a token"),
    "cosine_similarity": ("Cosine similarity", "of activation and reconstruction"),
    "l2_ratio": ("L2 ratio", "‖x̂‖ / ‖x‖, 1 without shrinkage"),
    "ce_recovered": ("CE loss recovered", "(zero - spliced) / (zero - clean)"),
    "ce_clean": ("CE loss, clean", "of the untouched model, nats"),
    "ce_spliced": ("CE loss, spliced", "with the reconstruction in place"),
    "ce_zero": ("CE loss, zero ablation", "with zeros in place"),
    "kl": ("KL(clean ‖ spliced)", "of the next token's distributions, nats"),
    "dead_fraction": ("Dead latents", "share that did not fire"),
    "tokens": ("Tokens", "that were counted"),
}
_TILES = ("explained_variance", "l0", "ce_recovered", "dead_fraction")
_PERCENT = {"dead_fraction"}


def tiles(sae: ReportedSae, speed: Curve) -> list[tuple[str, str]]:
    """Returns the few numbers that matter most, as name and value; `speed` is the job's, in tokens a second."""
    metrics = sae.summary["metrics"]
    shown = [(_MEANINGS[name][0], metric_text(name, metrics[name])) for name in _TILES if name in metrics]
    rate = [("Tokens a second", short(median(speed.values)))] if speed.values else []
    return [*shown, ("Tokens trained", short(sae.summary["tokens_trained"])), *rate]


def subtitle(sae: ReportedSae) -> str:
    """Returns what was trained on what, in a line."""
    summary = sae.summary
    sparsity = f", k = {summary['k']}" if "k" in summary else ""
    sizes = f"{summary['d_in']:,} → {summary['d_sae']:,} latents{sparsity}"
    return f"{summary['architecture']} SAE · {sizes} · {summary['hook_point']} of {summary['model_name']}"


def evaluation(sae: ReportedSae) -> list[tuple[str, str, str]]:
    """Returns every metric as name, value and meaning."""
    metrics = sae.summary["metrics"]
    known = [name for name in _MEANINGS if name in metrics]
    rest = sorted(set(metrics) - set(known))
    return [(*_named(name, metrics[name]),) for name in (*known, *rest)]


def facts(sae: ReportedSae) -> list[tuple[str, str]]:
    """Returns what was trained on what, with all ids."""
    summary, spec = sae.summary, sae.parameters
    sizes = f"{summary['d_in']:,} → {summary['d_sae']:,}"
    epochs = summary["epochs"]
    rows = {
        "Model": summary["model_name"],
        "Hook point": summary["hook_point"],
        "Architecture": summary["architecture"],
        "Width → latents": sizes,
        "k": summary.get("k"),
        "Tokens trained": f"{summary['tokens_trained']:,}" + (f" in {epochs} epochs" if epochs > 1 else ""),
        "Tokens a step": spec.get("batch_tokens"),
        "Seed": spec.get("seed", 0),
        "Activation scale": f"{summary['activation_scale']:.6g}",
        "Artifact": sae.artifact_id,
        "Job": sae.job_id,
        **{f"From {kind}": artifact_id for kind, artifact_id in sae.parents.items()},
    }
    return [(name, str(value)) for name, value in rows.items() if value not in (None, "")]


def comparison(saes: Sequence[ReportedSae]) -> tuple[list[str], list[list[str]]]:
    """Returns head and rows of the table of a job's SAEs."""
    names = [name for name in _TILES if any(name in sae.summary["metrics"] for sae in saes)]
    head = ["SAE", "Hook point", "Architecture", "Latents", *(_MEANINGS[name][0] for name in names), "Artifact"]
    return head, [_compared(sae, names) for sae in saes]


def metric_text(name: str, value: float) -> str:
    """Returns a metric's value for people."""
    if name == "tokens":
        return f"{value:,.0f}"
    return f"{value:.1%}" if name in _PERCENT else f"{value:.4g}"


def short(value: float) -> str:
    """Returns 999, 12.5k, 1.5M."""
    for suffix in ("", "k", "M", "G"):
        if abs(value) < 999.5:  # noqa: PLR2004 - what rounds to 1000 belongs to the next suffix
            return f"{value:.3g}{suffix}"
        value /= 1000
    return f"{value:.3g}T"


def _named(name: str, value: float) -> tuple[str, str, str]:
    called, meaning = _MEANINGS.get(name, (name.replace("_", " "), ""))
    return called, metric_text(name, value), meaning


def _compared(sae: ReportedSae, names: list[str]) -> list[str]:
    summary: Mapping[str, Any] = sae.summary
    values = [metric_text(name, summary["metrics"][name]) if name in summary["metrics"] else "-" for name in names]
    return [
        summary["name"],
        summary["hook_point"],
        summary["architecture"],
        f"{summary['d_sae']:,}",
        *values,
        sae.artifact_id,
    ]
