"""What is asserted of every finding that is not fine."""

from __future__ import annotations

from collections.abc import Iterable

from mistudio import v1
from support.command_lines import check


def bad(findings: Iterable[v1.Finding]) -> list[v1.Finding]:
    """Returns the findings that are not fine; each is one sentence with a command that can be typed."""
    findings = list(findings)
    for finding in findings:
        assert finding.check
        assert finding.message.endswith(".")
        assert ". " not in finding.message
        assert "\n" not in finding.message
        assert bool(finding.command) == (finding.severity != v1.SEVERITY_OK)
        check(finding.command)
    return [finding for finding in findings if finding.severity != v1.SEVERITY_OK]


def only(findings: Iterable[v1.Finding]) -> tuple[v1.Severity.ValueType, str, str]:
    """Returns severity, message and command of the one finding that there is."""
    findings = list(findings)
    bad(findings)
    (one,) = findings
    return one.severity, one.message, one.command
