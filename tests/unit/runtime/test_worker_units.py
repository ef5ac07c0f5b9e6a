from __future__ import annotations

import pytest

from mistudio_runtime.queues import load_queues
from mistudio_runtime.stack.plan import PlanError
from mistudio_runtime.stack.units import OWN_BYTES, escape, worker_units


def test_a_worker_of_all_services_is_called_all_and_has_no_limit() -> None:
    [unit] = worker_units(load_queues(), "minimal", {})
    assert (unit.instance, unit.memory_bytes) == ("all", None)


def test_memory_is_what_all_slots_may_take_and_the_workers_own() -> None:
    units = {unit.instance: unit.memory_bytes for unit in worker_units(load_queues(), "full", {})}
    assert units == {
        "curator": None,
        "ingest": None,
        "trainer": 1 * 4_000_000_000 + OWN_BYTES,
        "extractor": 2 * 2_000_000_000 + OWN_BYTES,
    }


def test_the_second_worker_of_a_service_has_a_number() -> None:
    units = worker_units(load_queues(), "training", {"trainer": 3})
    assert [unit.instance for unit in units] == ["trainer", "trainer:2", "trainer:3", "extractor"]


def test_a_profile_that_is_none_is_refused() -> None:
    with pytest.raises(PlanError, match="there is no profile 'nope'; choose one of minimal"):
        worker_units(load_queues(), "nope", {})


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("trainer", "trainer"),
        ("trainer:2", "trainer:2"),
        ("curator,ingest", r"curator\x2cingest"),
        ("my-service", r"my\x2dservice"),
        (".a.b", r"\x2ea.b"),
        ("é", r"\xc3\xa9"),
    ],
)
def test_names_are_escaped_as_systemd_does(text: str, escaped: str) -> None:
    assert escape(text) == escaped
