"""What is left to be ended when a worker is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mistudio_runtime.worker.reaper import groups_left, strays


@pytest.mark.parametrize(
    ("orders", "left"),
    [
        ([], set()),
        (["+12\n", "+13\n", "-12\n"], {13}),
        (["+12\n", "+1"], {12}),
        (["+\n", "-5\n", "x\n", "\n", "+ 7\n", "+-7\n"], set()),
    ],
)
def test_groups_that_had_begun_and_not_ended(orders: list[str], left: set[int]) -> None:
    assert groups_left(orders) == left


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the environment of a process as a file")
def test_strays_are_known_by_their_folder(tmp_path: Path) -> None:
    started = [
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, env={**os.environ, "TMPDIR": folder})
        for folder in (f"{tmp_path}", f"{tmp_path}/job", f"{tmp_path}-other")
    ]
    try:
        assert sorted(strays(str(tmp_path))) == sorted(process.pid for process in started[:2])
        assert strays(f"{tmp_path}/job") == [started[1].pid]
    finally:
        for process in started:
            process.communicate()
