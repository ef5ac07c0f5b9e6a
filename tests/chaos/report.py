"""What a run ends with."""

from __future__ import annotations

import collections
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from chaos.findings import Findings

_SHOWN = 15
"""Of each kind."""
_OWN = re.compile(r"\b(?:job-|sae-|features-|pymp-)?[a-z0-9]{16,}(?:-\d+)?\b|\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Report:
    """The figures, and the sentences behind them."""

    seed: int
    kills: int
    jobs: int
    findings: Findings

    def lines(self) -> Iterator[str]:
        """Says every breach, and the notes in groups."""
        for kind, sentences in self.findings.breaches().items():
            yield from (f"{kind}: {sentence}" for sentence in sentences[:_SHOWN])
            if len(sentences) > _SHOWN:
                yield f"{kind}: ... and {len(sentences) - _SHOWN} more"
        groups: dict[str, list[str]] = collections.defaultdict(list)
        for note in self.findings.notes:
            groups[_OWN.sub("#", note)].append(note)
        for notes in groups.values():
            yield f"note ({len(notes)} x): {notes[0]}"

    def figures(self) -> dict[str, int]:
        """Returns what the last line says."""
        found = self.findings
        return {
            "kills": self.kills,
            "jobs": self.jobs,
            "lost": len(found.lost),
            "duplicated": len(found.duplicated),
            "half_artifacts": len(found.half_artifacts),
            "stale_writes": len(found.stale_writes),
            "leaks": len(found.leaks),
            "other": len(found.other),
            "seed": self.seed,
        }


def say(line: str) -> None:
    """Writes a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def total(reports: Sequence[Report]) -> Report:
    """Returns all reports as one."""
    together = Findings()
    for report in reports:
        for field in fields(Findings):
            getattr(together, field.name).extend(getattr(report.findings, field.name))
    kills, jobs = sum(report.kills for report in reports), sum(report.jobs for report in reports)
    return Report(reports[0].seed if reports else 0, kills, jobs, together)
