"""Lines of the screen's width."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

Lines = list[list[Segment]]


class Drawer:
    """Turns what is to be shown into lines."""

    def __init__(self, console: Console, options: ConsoleOptions) -> None:
        """Takes where it is shown; as many lines come as it takes."""
        self._console = console
        self._options = options.update(height=None)
        self.width = options.max_width
        """Characters of a line."""
        self.blank = [Segment(" " * self.width)]
        """An empty line."""

    def __call__(self, shown: RenderableType) -> Lines:
        """Returns the lines of something, each as wide as the screen."""
        return self._console.render_lines(shown, self._options, pad=True)


def one_line(text: Text) -> Text:
    """Returns the text so that it takes one line, whatever is in it."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
