"""Findings of this machine and of the mesh, in the order in which people read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mistudio import v1

HERE, MESH = "here", "mesh"


@dataclass(frozen=True)
class Found:
    """A finding, and what it is about: this machine or the mesh."""

    where: str
    finding: v1.Finding

    @property
    def severity(self) -> v1.Severity.ValueType:
        """How good it is."""
        return self.finding.severity

    def document(self) -> dict[str, str]:
        """Returns the finding for scripts."""
        return {
            "where": self.where,
            "check": self.finding.check,
            "severity": severity_name(self.severity),
            "message": self.finding.message,
            "command": self.finding.command,
        }


@dataclass(frozen=True)
class Summary:
    """How many checks ended how. A check is as bad as its worst finding."""

    fine: int
    warnings: int
    problems: int

    @classmethod
    def of(cls, found: Iterable[Found]) -> Summary:
        """Counts."""
        worst: dict[tuple[str, str], int] = {}
        for one in found:
            check = (one.where, one.finding.check)
            worst[check] = max(one.severity, worst.get(check, v1.SEVERITY_OK))
        problems = sum(severity >= v1.SEVERITY_PROBLEM for severity in worst.values())
        warnings = sum(severity == v1.SEVERITY_WARNING for severity in worst.values())
        return cls(len(worst) - warnings - problems, warnings, problems)

    @property
    def checks(self) -> int:
        """How many checks there were."""
        return self.fine + self.warnings + self.problems

    def sentence(self) -> str:
        """Returns "12 checks: 10 fine, 1 warning, 1 problem"."""
        parts = [f"{self.fine} fine"] if self.fine else []
        parts += [_counted(self.warnings, "warning")] if self.warnings else []
        parts += [_counted(self.problems, "problem")] if self.problems else []
        return f"{_counted(self.checks, 'check')}: {', '.join(parts)}"


def ordered(found: Iterable[Found]) -> Sequence[Found]:
    """Returns the findings with the worst last, next to the summary and the prompt."""
    return sorted(found, key=lambda one: one.severity)


def severity_name(severity: v1.Severity.ValueType) -> str:
    """Returns the short name, e.g. "WARNING"; of one that only a newer contract knows its number."""
    known = severity in v1.Severity.values()
    return v1.Severity.Name(severity).removeprefix("SEVERITY_") if known else str(severity)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
