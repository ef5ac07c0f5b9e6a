"""Streams, buckets and consumers as they should be."""

from __future__ import annotations

from mistudio_runtime.broker.facts import BrokerFacts, StreamFacts
from mistudio_runtime.findings import Finding, fine, problem, warning
from mistudio_runtime.findings.broker import RESTART
from mistudio_runtime.findings.text import counted, listed

CHECK = "streams"


def check_streams(facts: BrokerFacts) -> list[Finding]:
    """Compares what the broker has with what a gateway would make; one that starts makes it so."""
    if not facts.usable:
        return [warning(CHECK, "The streams cannot be looked at without the broker.", "mistudio doctor")]
    parts = [(stream.name, stream) for stream in facts.streams]
    if facts.consumers is not None:
        parts.append(("the consumers of JOBS", facts.consumers))
    found = [finding for name, part in parts for finding in _judge(name, part)]
    if not found:
        names = ", ".join(stream.name for stream in facts.streams)
        consumers = counted(len(facts.messages), "consumer")
        found = [fine(CHECK, f"{names} and {consumers} are as this gateway makes them.")]
    return found


def _judge(name: str, part: StreamFacts) -> list[Finding]:
    if part.missing:
        return [problem(CHECK, f"The broker lacks {name}, which a gateway makes when it starts.", RESTART)]
    if part.differences:
        what = listed(part.differences)
        return [warning(CHECK, f"This gateway would make {name} otherwise: {what}.", RESTART)]
    return []
