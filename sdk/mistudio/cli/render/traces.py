"""Which features fire where on a text."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from mistudio import v1
from mistudio.cli.render.tokens import highlight


def render_traces(answer: v1.ActivateTextResponse, *, colour: bool) -> RenderableType:
    """Returns the text once for each of the strongest features, shaded by that feature."""
    if not answer.traces:
        return Text("no feature fires on this text", style="dim")
    parts: list[RenderableType] = []
    for trace in answer.traces:
        activations = list(trace.activations)
        peak = max(range(len(activations)), key=activations.__getitem__, default=0)
        line = highlight(list(answer.tokens), activations, peak, colour=colour)
        line.no_wrap, line.overflow = False, "fold"
        parts.append(
            Text.assemble((f"latent {trace.latent}", "bold cyan"), (f"  max {trace.max_activation:.2f}", "dim"))
        )
        parts.append(line)
    return Group(*parts)
