"""Tokens with activations on them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

_FAINTEST = 0.05
"""Shares of the largest activation below this are not coloured."""
_COLOURS = ("#3a2f14", "#5c4412", "#85600f", "#b27f0d", "#e0a30a")
"""From weak to strong: amber that reads on dark and, with its own foreground, on light terminals."""


def visible(text: str) -> str:
    """Returns a token's text on one line."""
    return text.replace("\n", "↵").replace("\t", "⇥").replace("\r", "")


def shade(share: float) -> str:
    """Returns the style for an activation as a share of the largest, from 0 to 1."""
    if share < _FAINTEST:
        return ""
    step = min(len(_COLOURS) - 1, int(share * len(_COLOURS)))
    return f"{'black' if step >= 3 else 'white'} on {_COLOURS[step]}"  # noqa: PLR2004 - where amber gets bright


def highlight(tokens: Sequence[str], activations: Sequence[float], peak: int, *, colour: bool) -> Text:
    """Returns the tokens in a row, shaded by activation; the peak in «…» where there is no colour, else bold."""
    largest = max(activations, default=0.0) or 1.0
    text = Text(no_wrap=True, overflow="ellipsis")
    for index, (token, activation) in enumerate(zip(tokens, activations, strict=True)):
        shown = visible(token)
        if not colour:
            text.append(f"«{shown}»" if index == peak else shown)
        else:
            style = shade(activation / largest)
            text.append(shown, style=f"bold {style}".strip() if index == peak else style)
    return text
