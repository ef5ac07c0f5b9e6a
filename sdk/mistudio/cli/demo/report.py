"""What the demo prints at its end."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from urllib.parse import unquote, urlparse

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.rule import Rule
from rich.text import Text

from mistudio import v1
from mistudio.cli.demo.findings import Findings
from mistudio.cli.render.features import render_feature
from mistudio.cli.render.style import pairs
from mistudio.cli.render.units import size

_EXAMPLES = 3
_WIDTH = 100
_METRICS = {
    "l0": ("L0", "{:.1f} active latents a token"),
    "explained_variance": ("explained variance", "{:.1%}"),
    "ce_recovered": ("CE loss recovered", "{:.1%}"),
    "dead_fraction": ("dead latents", "{:.1%}"),
}


def render_report(found: Findings, *, own_mesh: bool, colour: bool) -> RenderableType:
    """Returns features, metrics, artifacts and the commands to try next."""
    parts: list[RenderableType] = [_heading("the ten most interesting features" if found.features else "no features")]
    for feature in found.features:
        parts += [render_feature(feature, examples=_EXAMPLES, colour=colour, whole=False), Text()]
    parts += [_heading(_held_out(found.metrics)), render_metrics(found.metrics), Text()]
    parts += [_heading("where everything lies"), render_places(found.artifacts), Text()]
    return Group(*parts, _heading("what to try next"), *map(_command, next_commands(found, own_mesh=own_mesh)))


def render_metrics(metrics: dict[str, float]) -> RenderableType:
    """Returns the metrics that say whether an SAE is good."""
    grid = pairs()
    for key, (name, shape) in _METRICS.items():
        grid.add_row(name, shape.format(metrics[key]) if key in metrics else "not measured")
    if {"ce_clean", "ce_spliced", "ce_zero"} <= metrics.keys():
        grid.add_row(
            "CE loss", "{ce_clean:.2f} clean, {ce_spliced:.2f} with the SAE, {ce_zero:.2f} with zeros".format(**metrics)
        )
    return grid


def render_places(artifacts: dict[str, v1.Artifact]) -> RenderableType:
    """Returns where the artifacts lie: a path for what lies on this machine, else the URL."""
    grid = pairs()
    for step, artifact in artifacts.items():
        url = urlparse(artifact.uri)
        place = unquote(url.path) if url.scheme == "file" else artifact.uri
        grid.add_row(step, Text.assemble(place, (f"  {size(artifact.bytes)}", "dim")))
    return grid


def next_commands(found: Findings, *, own_mesh: bool) -> list[str]:
    """Returns three commands that work as they stand."""
    features_id = found.artifacts["features"].id
    latent = found.features[0].latent if found.features else 0
    show = f"features show {features_id} {latent}"
    activate = f'features activate {features_id} "for example, the method returns a list"'
    first = "up --detach" if own_mesh else f"features list {features_id} --order density"
    return [f"{_program()} {arguments}" for arguments in (first, show, activate)]


def _program() -> str:
    """Returns what a person types here to run this command: its path, if it is in an environment not activated."""
    started = Path(sys.argv[0])
    if shutil.which("mistudio") or started.name != "mistudio":
        return "mistudio"
    return os.path.relpath(started)


def _held_out(metrics: dict[str, float]) -> str:
    tokens = f"{metrics['tokens']:,.0f} " if "tokens" in metrics else ""
    return f"how good the SAE is, on {tokens}held-out tokens"


def _heading(title: str) -> RenderableType:
    return Constrain(Rule(Text(title, style="bold"), align="left", style="dim"), _WIDTH)


def _command(command: str) -> Text:
    return Text(f"  {command}", style="cyan", no_wrap=True, overflow="ignore")
