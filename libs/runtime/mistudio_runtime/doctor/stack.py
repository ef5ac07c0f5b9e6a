"""The processes that `mistudio up` started on this machine."""

from __future__ import annotations

import time
from datetime import datetime

import psutil

from mistudio_runtime.findings import Finding, fine, problem, warning
from mistudio_runtime.findings.text import counted, span
from mistudio_runtime.processes.lock import is_alive
from mistudio_runtime.stack.record import ProcessRecord, StackRecord

CHECK = "stack"
START_SECONDS = 120.0
"""Within which a stack has started everything once; what was started later was started again."""
RECENT_SECONDS = 600.0


def check_stack(record: StackRecord | None) -> list[Finding]:
    """Says which processes of the stack do not run, or were started again lately."""
    if record is None:
        return [fine(CHECK, "No mesh was started in this home.")]
    began = datetime.fromisoformat(record.started).timestamp()
    if not record.ready and time.time() - began > START_SECONDS:
        return [warning(CHECK, f"The mesh has been starting for {span(time.time() - began)}.", "mistudio logs")]
    found = [finding for process in record.processes if (finding := _judge(process, began, time.time()))]
    return found or [fine(CHECK, _sentence(record, time.time() - began))]


def _judge(process: ProcessRecord, began: float, now: float) -> Finding | None:
    look = f"mistudio logs {process.name}"
    if process.pid is None or not is_alive(process.pid):
        return problem(CHECK, f"{process.name} does not run; it is started again, less and less often.", look)
    try:
        born = psutil.Process(process.pid).create_time()
    except psutil.Error:
        return None
    if born - began > START_SECONDS and now - born < RECENT_SECONDS:
        return warning(CHECK, f"{process.name} ended and was started again {span(now - born)} ago.", look)
    return None


def _sentence(record: StackRecord, seconds: float) -> str:
    count = counted(len(record.processes), "process", "processes")
    return f"Profile {record.profile} runs at {record.gateway} with {count} for {span(seconds)}."
