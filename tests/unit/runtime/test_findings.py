"""How disks and brokers are judged, and how a finding says numbers."""

from __future__ import annotations

import pytest

from mistudio import v1
from mistudio_runtime.broker.facts import BrokerFacts, StreamFacts
from mistudio_runtime.broker.url import address_of
from mistudio_runtime.findings.broker import judge_broker
from mistudio_runtime.findings.disk import judge_disk
from mistudio_runtime.findings.text import counted, listed, size, span
from support.findings import bad, only

GIB = 2**30
OK, WARNING, PROBLEM = v1.SEVERITY_OK, v1.SEVERITY_WARNING, v1.SEVERITY_PROBLEM


@pytest.mark.parametrize(
    ("free", "total", "severity"),
    [
        (GIB - 1, 50 * GIB, PROBLEM),
        (GIB, 50 * GIB, WARNING),
        (5 * GIB - 1, 50 * GIB, WARNING),
        (5 * GIB, 50 * GIB, OK),
        (49 * GIB, 1000 * GIB, WARNING),
        (50 * GIB, 1000 * GIB, OK),
        (0, 0, PROBLEM),
    ],
)
def test_room_on_a_disk(free: int, total: int, severity: v1.Severity.ValueType) -> None:
    disk = v1.Disk(purpose="home", path="/data", total_bytes=total, free_bytes=free, writable=True)
    assert only([judge_disk("home", disk)])[0] == severity


def test_a_disk_that_may_not_be_written() -> None:
    disk = v1.Disk(purpose="home", path="/data", total_bytes=100 * GIB, free_bytes=90 * GIB)
    assert only([judge_disk("disks", disk, " of host-1")]) == (
        PROBLEM,
        "Nothing can be written to the home of host-1, /data.",
        "ls -ld /data",
    )


def healthy() -> BrokerFacts:
    return BrokerFacts(
        "b:4222", connected=True, round_trip=0.001, version=(2, 15, 1), jetstream=True, used_bytes=3 * 2**20
    )


def test_a_healthy_broker() -> None:
    sentence = "nats-server 2.15.1 at b:4222 answers in 1 ms, stores what it is given, and holds 3 MiB."
    assert only(judge_broker(healthy(), embedded=True)) == (OK, sentence, "")


def test_a_broker_that_is_away() -> None:
    sentence = "There is no connection to the broker at b:4222."
    assert only(judge_broker(BrokerFacts("b:4222"), embedded=True)) == (PROBLEM, sentence, "mistudio logs broker")
    assert only(judge_broker(BrokerFacts("b:4222"), embedded=False))[2] == "nats-server -c deploy/nats/nats.conf"
    silent = BrokerFacts("b:4222", connected=True)
    assert only(judge_broker(silent, embedded=True))[1] == "The broker at b:4222 is connected, but does not answer."


def test_a_broker_without_jetstream() -> None:
    plain = BrokerFacts("b:4222", connected=True, round_trip=0.001, version=(2, 15, 1))
    assert only(judge_broker(plain, embedded=False))[:2] == (
        PROBLEM,
        "JetStream is not enabled in the broker at b:4222.",
    )


def test_a_broker_that_is_too_old() -> None:
    facts = healthy()
    facts.version = (2, 10, 29)
    assert only(judge_broker(facts, embedded=False))[1] == (
        "The broker at b:4222 is nats-server 2.10.29, but 2.12 or newer is needed."
    )


@pytest.mark.parametrize(("used", "severity"), [(79, OK), (80, WARNING), (95, PROBLEM)])
def test_the_storage_that_a_broker_allows(used: int, severity: v1.Severity.ValueType) -> None:
    facts = healthy()
    facts.used_bytes, facts.limit_bytes = used * GIB, 100 * GIB
    assert only(judge_broker(facts, embedded=False))[0] == severity


def test_a_broker_that_refuses_writes() -> None:
    facts = healthy()
    facts.streams = [StreamFacts("JOBS", refusal="no space left on device"), StreamFacts("EVENTS")]
    severity, sentence, command = only(judge_broker(facts, embedded=True))
    assert (severity, command) == (PROBLEM, "mistudio down && mistudio up --detach")
    assert sentence.startswith("The broker at b:4222 stores nothing more in JOBS (no space left on device): make room")


def test_everything_that_is_wrong_is_told() -> None:
    facts = healthy()
    facts.version, facts.round_trip = (2, 10, 0), 0.9
    assert [finding.severity for finding in bad(judge_broker(facts, embedded=False))] == [PROBLEM, WARNING]


def test_no_credentials_are_told() -> None:
    assert address_of("nats://mesh:secret@broker.example:4333") == "broker.example:4333"
    assert address_of("nats://a,b:mesh@[::1]") == "[::1]:4222"
    assert address_of("a:1") == "a:1"


def test_numbers() -> None:
    assert [size(n) for n in (0, 999, 1000, 5 * GIB, 2000 * GIB)] == ["0 B", "999 B", "0.977 KiB", "5 GiB", "1.95 TiB"]
    assert [span(s) for s in (0.4, 119, 121, 7300, 200_000)] == ["0 s", "119 s", "2 min", "2 h", "2 days"]
    assert [counted(1, "job"), counted(2, "job"), counted(0, "process", "processes")] == [
        "1 job",
        "2 jobs",
        "0 processes",
    ]
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c", "d"]) == "a, b, c and d"
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert listed([]) == ""
