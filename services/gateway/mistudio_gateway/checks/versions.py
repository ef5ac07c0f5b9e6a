"""Whether client, gateway and workers are of one version."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mistudio import v1
from mistudio_runtime.findings import Finding, fine, warning
from mistudio_runtime.findings.text import counted, listed

CHECK = "versions"


def check_versions(client: str, gateway: str, workers: Sequence[v1.WorkerStatus]) -> list[Finding]:
    """Compares everything with the gateway; an empty version of the client is not compared."""
    others: dict[str, list[str]] = {}
    if client:
        others.setdefault(client, []).append("this client")
    for status in workers:
        others.setdefault(status.worker.version or "an unknown version", []).append(status.worker.name)
    found = [_mismatch(listed(who), version, gateway) for version, who in others.items() if version != gateway]
    return found or [fine(CHECK, _sentence(client, gateway, workers))]


def _mismatch(who: str, version: str, gateway: str) -> Finding:
    newest = max(version, gateway, key=as_numbers)
    older = "the gateway" if newest == version else who
    sentence = f"The gateway runs {gateway}, but {who} {version}: upgrade {older}."
    return warning(CHECK, sentence, f'pip install --upgrade "mistudio[all]=={newest}"')


def _sentence(client: str, gateway: str, workers: Sequence[v1.WorkerStatus]) -> str:
    who = [*(["this client"] if client else []), "the gateway"]
    who += [counted(len(workers), "worker")] if workers else []
    sentence = listed(who)
    return f"{sentence[0].upper()}{sentence[1:]} {'run' if len(who) > 1 else 'runs'} {gateway}."


def as_numbers(version: str) -> tuple[int, ...]:
    """Returns the numbers that a version begins with, e.g. (0, 1, 0); () if it begins with none."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
