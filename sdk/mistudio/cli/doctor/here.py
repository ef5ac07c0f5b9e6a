"""What a program of the services, if they are installed here, finds on this machine."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

from google.protobuf.json_format import Parse, ParseError

from mistudio import v1

_MODULE = "mistudio_runtime.doctor"
_SECONDS = 45.0
"""It waits itself for nothing longer than a few seconds; a network disk may."""


def check_here() -> list[v1.Finding]:
    """Looks at this machine; where only the client is installed there is nothing to look at."""
    if importlib.util.find_spec("mistudio_runtime") is None:
        sentence = "Only the client is installed here, so nothing but the mesh is checked."
        return [v1.Finding(check="services", severity=v1.SEVERITY_OK, message=sentence)]
    try:
        ended = subprocess.run(  # noqa: S603 - our own module under our own interpreter
            [sys.executable, "-P", "-m", _MODULE, "--json"],
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
        return list(Parse(ended.stdout, v1.CheckMeshResponse(), ignore_unknown_fields=True).findings)
    except subprocess.TimeoutExpired:
        return [_unchecked(f"This machine could not be looked at within {_SECONDS:.0f} s.", v1.SEVERITY_WARNING)]
    except (OSError, subprocess.CalledProcessError, ParseError):
        sentence = "This machine could not be looked at, because the program that does it fails."
        return [_unchecked(sentence, v1.SEVERITY_PROBLEM)]


def _unchecked(sentence: str, severity: v1.Severity.ValueType) -> v1.Finding:
    return v1.Finding(check="services", severity=severity, message=sentence, command=f"python -m {_MODULE}")
