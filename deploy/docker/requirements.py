"""Writes what an extra of pyproject.toml needs, one requirement a line: `requirements.py EXTRA`.

An image's layer of dependencies is made from these lines, and is made anew only when they change.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_OWN_EXTRAS = re.compile(r"mistudio\[(.+)\]")


def requirements(project: dict[str, Any], extra: str) -> list[str]:
    """Returns what the project and one of its extras need, with the extras that it names resolved."""
    lines = [*project["dependencies"], *_of_extra(project["optional-dependencies"], extra)]
    return sorted(dict.fromkeys(lines))


def _of_extra(extras: dict[str, list[str]], extra: str) -> Iterator[str]:
    for line in extras[extra]:
        if own := _OWN_EXTRAS.fullmatch(line):
            for name in own[1].split(","):
                yield from _of_extra(extras, name)
        else:
            yield line


if __name__ == "__main__":
    pyproject = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    sys.stdout.write("\n".join(requirements(pyproject["project"], sys.argv[1])) + "\n")
