"""Which services are installed here, and what they lack."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import metadata

from mistudio_runtime.findings import Finding, fine, warning
from mistudio_runtime.findings.text import listed

CHECK = "services"
_DISTRIBUTION = "mistudio"
_EXTRA = re.compile(r"^([A-Za-z0-9._-]+).*extra == ['\"](\w+)['\"]")


def check_services() -> list[Finding]:
    """Says which services can run here; one whose libraries are not installed cannot."""
    names = ["gateway", *sorted(one.name for one in metadata.entry_points(group="mistudio.services"))]
    lacking = {name: lacks for name in names if (lacks := missing_libraries(name, required()))}
    if not lacking:
        return [fine(CHECK, f"{', '.join(names)} are installed.")]
    libraries = list(dict.fromkeys(library for found in lacking.values() for library in found))
    sentence = f"{listed(list(lacking))} cannot run here: {listed(libraries)} is not installed."
    return [warning(CHECK, sentence, f'pip install "mistudio[{",".join(lacking)}]"')]


def required() -> Sequence[str]:
    """Returns the distribution's requirements, each with the extra that it belongs to."""
    return metadata.requires(_DISTRIBUTION) or []


def missing_libraries(extra: str, requirements: Sequence[str]) -> list[str]:
    """Returns the requirements of an extra that are not installed."""
    found = (_EXTRA.match(line) for line in requirements)
    return [match[1] for match in found if match and match[2] == extra and not _is_installed(match[1])]


def _is_installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
