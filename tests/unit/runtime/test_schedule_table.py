"""The table of schedules: the shipped one, one of a site's own, and everything that can be wrong with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mistudio_runtime.queues import load_queues
from mistudio_runtime.schedules import ScheduleTableError, load_schedules
from support.pages import ROOT

QUEUES = load_queues()


def test_the_shipped_table_keeps_house() -> None:
    table = load_schedules(QUEUES)
    assert {row.job.spec.WhichOneof("kind") for row in table.values()} == {
        "collect_garbage",
        "prune_checkpoints",
        "archive_jobs",
        "verify_artifacts",
    }
    assert table["archive-jobs"].job.spec.archive_jobs.older_than.seconds == 30 * 24 * 3600
    for name, row in table.items():
        assert row.job.labels == {"schedule": name}
        assert row.description.endswith(".")
        row.recurrence.check()


def test_a_site_has_its_own(tmp_path: Path) -> None:
    file = tmp_path / "schedules.toml"
    file.write_text(
        '[schedules.nightly]\nevery = "0 30 3 * * *"\ntime_zone = "Europe/Berlin"\nkind = "collect_garbage"\n'
        'parameters = { min_age = "3600s" }\npriority = 1\nmax_attempts = 2\nlabels = { team = "a" }\n'
    )
    (row,) = load_schedules(QUEUES, file).values()
    assert (row.name, row.recurrence.time_zone, row.job.priority, row.job.max_attempts) == (
        "nightly",
        "Europe/Berlin",
        1,
        2,
    )
    assert row.job.spec.collect_garbage.min_age.seconds == 3600
    assert row.job.labels == {"team": "a", "schedule": "nightly"}
    file.write_text("[schedules]\n")
    assert load_schedules(QUEUES, file) == {}


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    file = tmp_path / "schedules.toml"
    file.write_text(
        "[schedules]\nflat = 1\n"
        '[schedules.Nightly]\nevery = "30 3 * * *"\nkind = "collect_garbage"\nat = 3\n'
        '[schedules.unknown]\nevery = "@every 1h"\nkind = "make_coffee"\n'
        '[schedules.bad-parameters]\nevery = "@every 1h"\nkind = "collect_garbage"\nparameters = { age = 3 }\n'
        '[schedules.doctor]\nevery = "@every 1h"\nkind = "collect_garbage"\n'
        "[schedules.empty]\n"
    )
    with pytest.raises(ScheduleTableError) as caught:
        load_schedules(QUEUES, file)
    text = str(caught.value)
    for line in (
        "flat: it is no table",
        "Nightly: it has no field 'at'",
        'Nightly: a name is lower-case letters, digits and "-", at most 64',
        "Nightly: '30 3 * * *' is no schedule",
        "unknown: there is no job kind 'make_coffee'",
        "bad-parameters: its job cannot be read",
        "doctor: a name is",
        "empty: '' is no schedule",
        "empty: there is no job kind ''",
    ):
        assert line in text


@pytest.mark.parametrize("text", ["schedules = [", "", "schedules = 3", "schedules = []"])
def test_what_is_no_table(tmp_path: Path, text: str) -> None:
    file = tmp_path / "schedules.toml"
    file.write_text(text)
    with pytest.raises(ScheduleTableError, match="cannot be read"):
        load_schedules(QUEUES, file)
    with pytest.raises(ScheduleTableError, match="cannot be read"):
        load_schedules(QUEUES, tmp_path / "missing.toml")


def test_the_table_of_the_page_can_be_loaded(tmp_path: Path) -> None:
    [text] = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "upkeep.md").read_text(), re.DOTALL)
    file = tmp_path / "schedules.toml"
    file.write_text(text)
    assert [*load_schedules(QUEUES, file)] == ["collect-garbage", "newest-data"]
