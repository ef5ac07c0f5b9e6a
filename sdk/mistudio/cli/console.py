"""A console that shows what others wrote, and obeys none of it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_C0 = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"}
_SIGNS = _C0 | {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)


def without_controls(text: str) -> str:
    """Returns the text with every control character but line ends and tabs replaced by a sign for it."""
    return text.translate(_SIGNS)


class SafeConsole(Console):
    """Names of jobs, log lines and data cannot move the cursor, set titles or clear the screen; rich itself can."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yields what is to be written, with control characters only where rich put them."""
        if isinstance(renderable, Text) and _CONTROL.search(renderable.plain):
            renderable = renderable.copy()  # before it is broken into lines: signs have a width
            renderable.plain = without_controls(renderable.plain)
        for segment in super().render(renderable, options):
            if segment.control or not _CONTROL.search(segment.text):
                yield segment
            else:
                yield Segment(without_controls(segment.text), segment.style)
