"""The live log of metrics and the table that it becomes."""

from __future__ import annotations

from pathlib import Path

from mistudio.v1 import MetricPoint
from mistudio_trainer.metrics_log import MetricsLog, read_log
from mistudio_trainer.metrics_table import read_table, write_table


def point(step: int, value: float = 1.0, name: str = "loss", sae: str = "a") -> MetricPoint:
    made = MetricPoint(name=name, value=value, step=step, tokens=step * 64, labels={"sae": sae, "hook_point": "here"})
    made.time.FromMilliseconds(1_700_000_000_000 + step)
    return made


def write(path: Path, *points: MetricPoint) -> None:
    with MetricsLog(path) as log:
        for each in points:
            log.append(each)


def test_points_are_readable_while_the_log_is_open(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with MetricsLog(path) as log:
        log.append(point(1))
        assert read_log(path) == [point(1)]
        log.append(point(2))
        assert read_log(path) == [point(1), point(2)]


def test_a_torn_last_line_is_left_out_and_then_cut(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write(path, point(1), point(2))
    path.write_bytes(path.read_bytes()[:-9])
    assert read_log(path) == [point(1)]
    write(path, point(2), point(3))
    assert read_log(path) == [point(1), point(2), point(3)]


def test_what_was_measured_again_counts_once_with_its_last_value(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write(path, point(1), point(2, 2.0), point(3, 3.0))
    write(path, point(2, 2.5), point(2, 7.0, sae="b"))
    assert read_log(path) == [point(1), point(2, 2.5), point(2, 7.0, sae="b"), point(3, 3.0)]


def test_an_infinite_value_survives(tmp_path: Path) -> None:
    write(tmp_path / "log", point(1, float("inf")))
    assert read_log(tmp_path / "log")[0].value == float("inf")


def test_the_table_holds_the_same_points(tmp_path: Path) -> None:
    points = [point(1), point(1, 0.5, "l0"), point(2)]
    write_table(tmp_path / "metrics.parquet", points)
    assert read_table(tmp_path / "metrics.parquet") == points


def test_an_empty_table_is_a_table(tmp_path: Path) -> None:
    write_table(tmp_path / "metrics.parquet", [])
    assert read_table(tmp_path / "metrics.parquet") == []
