"""Room on the disks that gateway and workers write to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mistudio import v1
from mistudio_runtime.findings import Finding, fine
from mistudio_runtime.findings.disk import judge_disk
from mistudio_runtime.findings.text import size
from mistudio_runtime.host.disks import MODEL_CACHE

CHECK = "disks"
DOWNLOADER = "ingest"
"""The service that keeps models; the others never touch the cache."""


def check_disks(gateway: tuple[str, v1.Disk], workers: Sequence[v1.WorkerStatus]) -> list[Finding]:
    """Judges each disk of each host once; the gateway's comes with its host, and holds an embedded broker's store."""
    disks = {(host, disk.purpose, disk.path): disk for host, disk in [*_disks(workers), gateway]}
    judged = [judge_disk(CHECK, disk, f" of {host}") for (host, _, _), disk in disks.items()]
    bad = [finding for finding in judged if finding.severity != v1.SEVERITY_OK]
    return bad or [fine(CHECK, _sentence(list(disks.values())))]


def _disks(workers: Iterable[v1.WorkerStatus]) -> Iterable[tuple[str, v1.Disk]]:
    for status in workers:
        for disk in status.host_status.disks:
            if disk.purpose != MODEL_CACHE or DOWNLOADER in status.worker.services:
                yield status.worker.host, disk


def _sentence(disks: Sequence[v1.Disk]) -> str:
    least = min(disks, key=lambda disk: disk.free_bytes)
    return f"Every disk has room; the least, {size(least.free_bytes)}, is for the {least.purpose}, {least.path}."
