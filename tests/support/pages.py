"""The repository's Markdown pages, as far as tests have to read them: code, headings, links.

What a fence holds is said by its info string: none or "sh" are commands that people type ("console" too, where only
lines after "$ " are typed and the rest is output); anything else, such as "text", is not typed. Of what is typed, only
our programs and those that call our API matter here.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SHELLS = ("", "sh", "console")
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_PROGRAM = re.compile(
    r"((export|sudo|nohup|time|watch) |[A-Z_]+=\S+ )*([\w./-]*/)?(mistudio|make|python|buf|grpcurl)[\w.-]* "
)
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """One Markdown page."""

    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def fences(self) -> list[tuple[str, str]]:
        """Info string and content of every fenced block."""
        return _FENCE.findall(self.text)

    @cached_property
    def prose(self) -> str:
        """The text without its fences."""
        return _FENCE.sub("", self.text)

    @cached_property
    def spans(self) -> list[str]:
        """Code spans of the prose, as one line each; a table's escaped bars are bars."""
        return [" ".join(span.replace("\\|", "|").split()) for _, span in _SPAN.findall(self.prose)]

    @cached_property
    def links(self) -> list[str]:
        """Targets of links of the prose."""
        return _LINK.findall(_SPAN.sub("code", self.prose))

    @cached_property
    def anchors(self) -> list[str]:
        """Anchors of the headings, as GitHub makes them."""
        seen: Counter[str] = Counter()
        found = []
        for heading in _HEADING.findall(self.prose):
            slug = re.sub(r"[^\w\- ]", "", _LINK.sub("", heading).lower()).replace(" ", "-")
            found.append(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
        return found

    def typed(self) -> Iterator[str]:
        """Yields the command lines of the fences, each as one whole."""
        for info, content in self.fences:
            if info in SHELLS:
                yield from _commands(content, prompt=info == "console")


def all_pages() -> list[Page]:
    """Returns every Markdown page that people read."""
    found = [*ROOT.glob("*.md"), *(page for top in ("docs", "deploy", "bench") for page in ROOT.glob(f"{top}/**/*.md"))]
    return [Page(path) for path in sorted(found)]


def _commands(content: str, *, prompt: bool) -> Iterator[str]:
    command = ""
    for line in content.replace("\\\n", " ").splitlines():
        typed = line.removeprefix("$ ").strip() if line.startswith("$ ") or not prompt else ""
        if not command and not _PROGRAM.match(f"{typed} "):
            continue
        command += f"\n{line}" if command else typed
        if _is_whole(command):
            yield command
            command = ""
    assert not command, f"this command does not end: {command}"


def _is_whole(command: str) -> bool:
    try:
        shlex.split(command, comments=True)
    except ValueError:  # a quotation is still open
        return False
    return True
