"""A finding, made in one line."""

from __future__ import annotations

from mistudio import v1

Finding = v1.Finding


def fine(check: str, message: str) -> Finding:
    """Says that something is as it should be."""
    return Finding(check=check, severity=v1.SEVERITY_OK, message=message)


def warning(check: str, message: str, command: str) -> Finding:
    """Says that something works, but that somebody should look at it."""
    return Finding(check=check, severity=v1.SEVERITY_WARNING, message=message, command=command)


def problem(check: str, message: str, command: str) -> Finding:
    """Says that jobs do not run, or may be lost, until somebody acts."""
    return Finding(check=check, severity=v1.SEVERITY_PROBLEM, message=message, command=command)
