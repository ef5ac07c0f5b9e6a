"""When a server that stores nothing more is started again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mistudio_runtime.broker import refusal
from mistudio_runtime.broker.refusal import RefusalWatch
from mistudio_runtime.processes.spec import Backoff
from support.waiting import eventually

FAILED = "[ERR] Filestore [JOBS] Critical write error: write 1.blk: no space left on device"
PATIENCE = Backoff(first_seconds=0.01)


async def test_it_waits_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = asyncio.Event()
    restarted = asyncio.Event()
    monkeypatch.setattr(refusal, "ROOM_BYTES", 2**80)
    watch = RefusalWatch(tmp_path, restarted.set, PATIENCE)
    has_room = watch._has_room
    monkeypatch.setattr(watch, "_has_room", lambda: looks.set() or has_room())
    watch.line("[INF] Server is ready")
    assert watch._task is None
    watch.line(FAILED)
    watch.line(FAILED)
    await eventually(looks.is_set)
    assert not restarted.is_set()
    monkeypatch.setattr(refusal, "ROOM_BYTES", 0)
    await eventually(restarted.is_set)
    await watch.stop()


async def test_a_server_that_was_started_anew_is_left_alone(tmp_path: Path) -> None:
    restarted = asyncio.Event()
    watch = RefusalWatch(tmp_path, restarted.set, Backoff(first_seconds=3600, limit_seconds=3600))
    watch.line(FAILED)
    watch.started()
    await watch.stop()
    assert not restarted.is_set()


async def test_a_broken_disk_is_tried_less_and_less_often(tmp_path: Path) -> None:
    restarts: list[float] = []
    watch = RefusalWatch(tmp_path, lambda: restarts.append(0), PATIENCE)
    for count in (1, 2, 3):
        watch.line(FAILED)
        await eventually(lambda count=count: len(restarts) == count)
        assert watch._failures == count
        await watch.stop()
