"""The whole screen."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

from mistudio.cli.top.bars import HELP, footer, header
from mistudio.cli.top.drawer import Drawer, Lines
from mistudio.cli.top.job_page import job_page
from mistudio.cli.top.list_page import list_page
from mistudio.cli.top.scene import Scene
from mistudio.cli.top.view import Mode

Page = Callable[[Scene, Drawer, int], Lines]


class Frame:
    """Draws a scene on exactly as many lines as the screen has."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draws for the size that the screen has now."""
        height = options.height or console.height
        draw = Drawer(console, options)
        above, below = draw(header(self._scene, draw.width)), draw(footer(self._scene))
        room = max(0, height - len(above) - len(below))
        body = _PAGES[self._scene.view.mode](self._scene, draw, room)[:room]
        lines = [*above, *body, *[draw.blank] * (room - len(body)), *below][:height]
        for place, line in enumerate(lines):
            yield from ([Segment.line()] if place else [])
            yield from line


def _help_page(_scene: Scene, draw: Drawer, _room: int) -> Lines:
    return draw(Text(HELP))


_PAGES: dict[Mode, Page] = {Mode.LIST: list_page, Mode.JOB: job_page, Mode.HELP: _help_page}
