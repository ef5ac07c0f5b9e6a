"""Whether a broker can be used, and how to get one that can."""

from __future__ import annotations

from mistudio_runtime.broker.facts import BrokerFacts
from mistudio_runtime.findings.finding import Finding, fine, problem, warning
from mistudio_runtime.findings.text import listed, size

CHECK = "broker"
OLDEST = (2, 12, 0)
"""Batched direct gets came with it."""
SLOW_SECONDS = 0.5
"""For one round trip; a broker nearby takes a millisecond."""
NEARLY_FULL, FULL = 0.8, 0.95
"""Parts of the storage that the broker allows."""
RESTART = "mistudio down && mistudio up --detach"
START_EXTERNAL = "nats-server -c deploy/nats/nats.conf"
START_CLUSTER = "nats-server -c deploy/nats/cluster.conf"
RESTART_EXTERNAL = "nats-server --signal quit && nats-server -c deploy/nats/nats.conf"


def judge_broker(facts: BrokerFacts, *, embedded: bool) -> list[Finding]:
    """Judges a broker; an `embedded` one is the stack's own."""
    if not facts.connected:
        start = "mistudio logs broker" if embedded else START_EXTERNAL
        return [problem(CHECK, f"There is no connection to the broker at {facts.address}.", start)]
    if not facts.answers:
        restart = RESTART if embedded else RESTART_EXTERNAL
        return [problem(CHECK, f"The broker at {facts.address} is connected, but does not answer.", restart)]
    if not facts.led:
        sentence = f"Too few servers of the broker at {facts.address} run to agree on anything."
        return [problem(CHECK, f"{sentence} Start the others.", START_CLUSTER)]
    if not facts.jetstream:
        return [problem(CHECK, f"JetStream is not enabled in the broker at {facts.address}.", START_EXTERNAL)]
    found = [*_version(facts), *_storage(facts), *_refusals(facts, embedded=embedded), *_copies(facts), *_speed(facts)]
    return found or [fine(CHECK, _sentence(facts))]


def _sentence(facts: BrokerFacts) -> str:
    return (
        f"nats-server {version_text(facts)} at {facts.address} answers in {1000 * (facts.round_trip or 0):.0f} ms, "
        f"stores what it is given, and holds {size(facts.used_bytes)}."
    )


def version_text(facts: BrokerFacts) -> str:
    """Returns the broker's version, e.g. "2.15.1"."""
    return ".".join(map(str, facts.version))


def _version(facts: BrokerFacts) -> list[Finding]:
    if facts.version >= OLDEST:
        return []
    needed = ".".join(map(str, OLDEST[:2]))
    sentence = f"The broker at {facts.address} is nats-server {version_text(facts)}, but {needed} or newer is needed."
    return [problem(CHECK, sentence, 'pip install --upgrade "mistudio[broker]"')]


def _storage(facts: BrokerFacts) -> list[Finding]:
    part = facts.used_bytes / facts.limit_bytes if facts.limit_bytes else 0.0
    if part < NEARLY_FULL:
        return []
    sentence = f"The broker holds {size(facts.used_bytes)} of the {size(facts.limit_bytes)} that it allows."
    return [problem(CHECK, sentence, _LOOK) if part >= FULL else warning(CHECK, sentence, _LOOK)]


def _refusals(facts: BrokerFacts, *, embedded: bool) -> list[Finding]:
    if not facts.refusing:
        return []
    names, why = listed([stream.name for stream in facts.refusing]), facts.refusing[0].refusal
    then = "it is started again within seconds" if embedded else "start it again"
    sentence = f"The broker at {facts.address} stores nothing more in {names} ({why}): make room, then {then}."
    return [problem(CHECK, sentence, RESTART if embedded else RESTART_EXTERNAL)]


def _copies(facts: BrokerFacts) -> list[Finding]:
    if not facts.behind:
        return []
    sentence = f"The broker's copies on {listed(facts.behind)} are behind: away, or still catching up."
    return [warning(CHECK, sentence, START_CLUSTER)]


def _speed(facts: BrokerFacts) -> list[Finding]:
    if (facts.round_trip or 0.0) < SLOW_SECONDS:
        return []
    sentence = f"The broker at {facts.address} takes {facts.round_trip:.1f} s to answer, so everything is slow."
    return [warning(CHECK, sentence, "mistudio logs broker")]


_LOOK = "nats stream report"
