"""Whether the clocks of the machines agree."""

from __future__ import annotations

from collections.abc import Sequence

from mistudio import v1
from mistudio_runtime.findings import Finding, fine, warning
from mistudio_runtime.findings.text import listed, span

CHECK = "clocks"
MOST_SECONDS = 2.0
"""By which a clock may be off before times in lists and logs mislead."""
REPAIR = "sudo timedatectl set-ntp true"


def check_clocks(workers: Sequence[v1.WorkerStatus], broker: float | None) -> list[Finding]:
    """Compares the clocks with the gateway's; `broker` is how many seconds its clock is ahead, if that is known."""
    offsets = offsets_by_host(workers)
    if broker is not None:
        offsets["the broker"] = broker
    found = [_off(who, seconds) for who, seconds in offsets.items() if abs(seconds) > MOST_SECONDS]
    return found or [fine(CHECK, _sentence(list(offsets)))]


def offsets_by_host(workers: Sequence[v1.WorkerStatus]) -> dict[str, float]:
    """Returns the seconds that each host's clock is ahead: the largest of its workers', as each includes a delay."""
    offsets: dict[str, float] = {}
    for status in workers:
        if status.host_status.HasField("clock_offset"):
            seconds = status.host_status.clock_offset.ToNanoseconds() / 1e9
            offsets[status.worker.host] = max(seconds, offsets.get(status.worker.host, seconds))
    return offsets


def _off(who: str, seconds: float) -> Finding:
    direction = "ahead of" if seconds > 0 else "behind"
    return warning(CHECK, f"The clock of {who} is {span(abs(seconds))} {direction} the gateway's.", REPAIR)


def _sentence(hosts: Sequence[str]) -> str:
    if not hosts:
        return "There is no other clock to compare the gateway's with."
    return f"The clocks of {listed(['the gateway', *hosts])} agree within {MOST_SECONDS:g} s."
