"""Audits what is left over when everything has been told to end."""

from __future__ import annotations

from pathlib import Path

import psutil

from chaos.findings import Findings
from chaos.stored import Stored


def audit_broker(stored: Stored, findings: Findings) -> None:
    """Checks that no message and no lease is left."""
    findings.leaks += [f"a message is left at {subject}" for subject in stored.queued]
    findings.leaks += [f"the record of the worker {name} is left" for name in stored.workers]


def audit_files(home: Path, artifacts: Path, temporary: Path, findings: Findings) -> None:
    """Checks that no draft, no scratch folder and no temporary file is left."""
    for folder in (artifacts / ".drafts", artifacts / ".trash", home / "scratch", temporary):
        findings.leaks += [f"{folder.name}/{path.name} is left" for path in sorted(folder.glob("*"))]


def audit_processes(home: Path, findings: Findings) -> None:
    """Checks that no process of the run is left, and with them no socket."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("MISTUDIO_HOME") == str(home):
                findings.leaks.append(f"process {process.pid} is left: {' '.join(process.cmdline())[:120]}")
        except psutil.Error:
            continue
