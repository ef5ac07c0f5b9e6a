from __future__ import annotations

import pytest

from mistudio_runtime.queues import load_queues
from mistudio_runtime.worker.options import parse_options


def test_all_means_every_service_and_queue_of_the_table() -> None:
    table = load_queues()
    options = parse_options([], table, "host-1", ["--services", "all"])
    assert options.services == table.services
    assert tuple(sorted(options.slots)) == tuple(sorted(table.names))
    assert options.name.startswith("worker@host-1-")


def test_services_are_named_one_by_one_otherwise() -> None:
    options = parse_options([], load_queues(), "host-1", ["--services", "trainer,curator"])
    assert options.services == ("trainer", "curator")
    assert set(options.slots) == {"training", "high_priority", "low_priority"}


@pytest.mark.parametrize(
    ("given", "meant"), [("trainer:2", ("trainer",)), ("trainer,curator:10", ("trainer", "curator"))]
)
def test_the_number_of_a_systemd_instance_is_no_part_of_the_services(given: str, meant: tuple[str, ...]) -> None:
    assert parse_options([], load_queues(), "host-1", ["--services", given]).services == meant
    assert parse_options([], load_queues(), "host-1", ["--services", "all:2"]).services == load_queues().services


@pytest.mark.parametrize("given", ["trainer:", "trainer:two", "trainer:2:3", ":2"])
def test_any_other_suffix_is_refused(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_options([], load_queues(), "host-1", ["--services", given])
    assert "no such service" in capsys.readouterr().err


def test_all_is_not_mixed_with_names(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options([], load_queues(), "host-1", ["--services", "all,trainer"])
    assert ended.value.code == 2
    assert "no such service: all; there are curator, ingest, trainer, extractor" in capsys.readouterr().err


def test_a_device_is_taken_for_jobs_that_name_none() -> None:
    assert parse_options(["trainer"], load_queues(), "host-1", ["--device", "cuda:1"]).device == "cuda:1"
    assert parse_options(["trainer"], load_queues(), "host-1", []).device is None


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", ""])
def test_a_device_that_is_none_is_refused(device: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(["trainer"], load_queues(), "host-1", ["--device", device])
    assert ended.value.code == 2
    assert "is not cpu, cuda or cuda:N" in capsys.readouterr().err
