"""Features: what a latent fires on, and what it makes likely."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from mistudio import v1
from mistudio.cli.render.style import table
from mistudio.cli.render.tokens import highlight, visible
from mistudio.cli.render.units import number

_BARS = " ▁▂▃▄▅▆▇█"
_LEFT, _RIGHT = 40, 24
"""Characters shown before and after the peak where an example has only one line."""
_COLUMNS = 32
"""Widest histogram."""


def render_example(example: v1.FeatureExample, *, colour: bool, whole: bool = False) -> Text:
    """Returns one context with its peak, cut to one line's worth around the peak unless `whole`."""
    tokens, peak = list(example.tokens), example.peak
    if not whole:
        first = peak - _fitting([token.text for token in reversed(tokens[:peak])], _LEFT)
        tokens = tokens[first : peak + 1 + _fitting([token.text for token in tokens[peak + 1 :]], _RIGHT)]
        peak -= first
    return highlight([token.text for token in tokens], [token.activation for token in tokens], peak, colour=colour)


def render_features(features: Sequence[v1.Feature], *, colour: bool) -> RenderableType:
    """Returns a table of features with their best examples."""
    if not features:
        return Text("no features match", style="dim")
    made = table(">latent", ">score", ">density", ">max", "label", "fires on")
    for feature in features:
        example = render_example(feature.examples[0], colour=colour) if feature.examples else Text("dead", style="dim")
        made.add_row(
            str(feature.latent),
            f"{feature.interestingness:.2f}",
            f"{feature.density:.2%}",
            number(feature.max_activation),
            Text(("★ " if feature.starred else "") + feature.label),
            example,
        )
    return made


def render_feature(feature: v1.Feature, *, examples: int, colour: bool, whole: bool = True) -> RenderableType:
    """Returns one feature: figures, histogram, contexts, logits and neighbours."""
    parts: list[RenderableType] = [_title(feature)]
    parts += [_context(example, colour=colour, whole=whole) for example in feature.examples[:examples]]
    parts += _logits("makes likelier ", feature.top_logits) + _logits("makes unlikelier", feature.bottom_logits)
    if feature.neighbours:
        near = "  ".join(f"{one.latent} ({one.cosine:.2f})" for one in feature.neighbours[:6])
        parts.append(Text.assemble(("  resembles        ", "dim"), near))
    return Group(*parts)


def sparkline(counts: Sequence[int]) -> str:
    """Returns a histogram in one line; heights are square roots, so that rare values show."""
    width = -(-len(counts) // _COLUMNS) or 1
    columns = [sum(counts[at : at + width]) for at in range(0, len(counts), width)]
    largest = max(columns, default=0) or 1
    return "".join(_BARS[math.ceil(8 * math.sqrt(column / largest))] for column in columns).rstrip()


def _fitting(texts: Sequence[str], characters: int) -> int:
    """Returns how many of the texts fit into so many characters."""
    ends = itertools.accumulate(len(text) for text in texts)
    return sum(end <= characters for end in ends)


def _title(feature: v1.Feature) -> Text:
    name = feature.label or "dead" * feature.dead
    return Text.assemble(
        (f"latent {feature.latent}", "bold cyan"),
        (f" ★ {name}" if feature.starred else f" {name}" if name else "", "bold"),
        (f"  score {feature.interestingness:.2f}  fires on {feature.density:.2%} of tokens", "dim"),
        (f"  max {number(feature.max_activation)}  ", "dim"),
        (sparkline(feature.histogram_counts), "cyan"),
    )


def _context(example: v1.FeatureExample, *, colour: bool, whole: bool) -> Text:
    line = Text.assemble((f"  {example.activation:6.2f}  ", "dim"))
    line.append_text(render_example(example, colour=colour, whole=whole))
    line.no_wrap, line.overflow = (not whole), "ellipsis" if not whole else "fold"
    return line


def _logits(title: str, logits: Sequence[v1.FeatureLogit]) -> list[RenderableType]:
    if not logits:
        return []
    line = Text(f"  {title} ", style="dim", no_wrap=True, overflow="ellipsis")
    for logit in logits[:8]:
        line.append(f" {visible(logit.text).strip() or repr(logit.text)}", style="not dim")
        line.append(f" {logit.logit:+.2f} ", style="dim")
    return [line]
