"""The operator's commands in a real terminal, on a real gateway with toy workers."""

from __future__ import annotations

import re
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from mistudio import v1
from support.broker import NatsServer
from support.mesh import Mesh, count_job
from support.terminal import Terminal, needs_tmux

pytestmark = [needs_tmux, pytest.mark.asyncio(loop_scope="module")]

BROKEN_TOP = """
import mistudio.cli.top.screen as screen
from mistudio.cli.main import run
screen.Frame = lambda scene: 1 / 0
run(["top"])
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """A gateway and a worker, whose log lies where `mistudio logs` looks for it."""
    home = tmp_path_factory.mktemp("terminal") / "home"
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        async with Mesh(home, server.url) as mesh:
            mesh.environment["MISTUDIO_ACK_WAIT_SECONDS"] = "10"  # nothing here is about lost workers
            await mesh.gateway()
            await mesh.toy()
            (home / "logs").mkdir()
            (home / "logs" / "toy.log").symlink_to(home / "process-1.log")
            yield mesh


@pytest_asyncio.fixture(loop_scope="module")
async def terminal(mesh: Mesh) -> AsyncIterator[Terminal]:
    path = f"{Path(sys.executable).parent}:{mesh.environment['PATH']}"
    with Terminal({**mesh.environment, "PATH": path}) as terminal:
        await terminal.shows(r"\A\$$")
        yield terminal


@asynccontextmanager
async def endless_job(mesh: Mesh) -> AsyncIterator[v1.Job]:
    """A job that runs until the block is left."""
    job = await mesh.submit(count_job(100_000))
    try:
        yield job
    finally:
        await cancel(mesh, job)


async def cancel(mesh: Mesh, job: v1.Job) -> None:
    if (await mesh.get(job.id)).state != v1.JOB_STATE_CANCELLED:
        await mesh.jobs.CancelJob(v1.CancelJobRequest(job_id=job.id), timeout=10)
        await mesh.until(job.id, v1.JOB_STATE_CANCELLED)


@asynccontextmanager
async def gateway_away(mesh: Mesh) -> AsyncIterator[Callable[[], None]]:
    """The gateway hangs, and is gone when what this gives is called; afterwards there is another one."""
    gateway = mesh.processes[0]

    def kill() -> None:
        gateway.kill()
        gateway.wait()

    gateway.send_signal(signal.SIGSTOP)
    try:
        yield kill
    finally:
        kill()
        await mesh.gateway()
        mesh.processes[0] = mesh.processes.pop()


async def test_top_shows_the_mesh_and_moves_with_it(mesh: Mesh, terminal: Terminal) -> None:
    async with endless_job(mesh) as job:
        terminal.run("mistudio top --interval 0.3")
        await terminal.shows(r"1 worker  0 queued  1 running")
        await terminal.shows(r"^training +5 +0 +1 +1/1 .* toy@1$")
        await terminal.shows(r"^Nobody serves datasets, processing, extraction")
        await terminal.shows(r"^toy@1 +1/11 .* job-")
        await terminal.shows(rf"^▶ +{job.id} +train_sae +● running")
        await terminal.shows(r"^q quit .* \? help *$")
        assert len(terminal.screen().splitlines()) == 24
        terminal.resize(140, 40)
        first = await terminal.shows(r"count ([\d.]+k?)/100k steps +[\d.]+/s")
        await terminal.shows(rf"count (?!{re.escape(first[1])})[\d.]+k?/100k steps")
        assert len(terminal.screen().splitlines()) == 40
        terminal.resize(60, 12)
        await terminal.shows(rf"\A.*\n\n +JOB +STATE +PROGRESS\n▶ +{job.id}")
        terminal.press("C-c")
        await terminal.shows(r"^\$$")


async def test_top_reads_a_job_s_log_and_cancels_it(mesh: Mesh, terminal: Terminal) -> None:
    async with endless_job(mesh) as first, endless_job(mesh) as second:
        terminal.run("mistudio top --interval 0.3")
        await terminal.shows(rf"^▶ +{first.id} +train_sae +● running")
        terminal.press("Down")
        await terminal.shows(rf"^▶ +{second.id} +train_sae +○ queued")
        await terminal.shows(r"^job 2 of \d+ +The one slot for the queue training is taken")
        terminal.press("k", "Enter")
        await terminal.shows(r"#1 toy@1  RUNNING: claimed by toy@1 as attempt 1")
        await terminal.shows(r"#1 toy@1  starts at 0")
        terminal.press("Escape")
        await terminal.shows(rf"^▶ +{first.id}")
        terminal.press("c")
        await terminal.shows(rf"^cancel {first.id}\? y/n")
        terminal.press("n", "c", "y")
        await mesh.until(first.id, v1.JOB_STATE_CANCELLED)
        await terminal.shows(rf"{first.id} +train_sae +◌ cancelled")
        await mesh.until(second.id, v1.JOB_STATE_RUNNING)
        terminal.press("Home", "p")
        await mesh.until(second.id, v1.JOB_STATE_PAUSED)
        await terminal.shows(rf"^▶ +{second.id} +train_sae +◐ paused")
        terminal.press("r")
        await mesh.until(second.id, v1.JOB_STATE_RUNNING)


async def test_top_outlives_the_gateway(mesh: Mesh, terminal: Terminal) -> None:
    async with endless_job(mesh) as job:
        terminal.run("mistudio top --interval 0.3")
        await terminal.shows(rf"^▶ +{job.id}")
        async with gateway_away(mesh) as kill:
            await terminal.shows(r"did not answer in time; trying again +as of")
            terminal.press("?")  # a key works at once, whatever the gateway does
            await terminal.shows(r"select a job", within=10)
            terminal.press("Escape")
            kill()
            await terminal.shows(rf"no gateway answers at {mesh.address}; trying again")
        await terminal.shows(r"\A.*1 worker .*1 running.*\n\nQUEUE")
        assert "Traceback" not in terminal.screen()


@pytest.mark.parametrize(("end", "code"), [("q", 0), ("SIGTERM", 143), ("a bug", 1)])
async def test_top_leaves_the_terminal_as_it_was(mesh: Mesh, terminal: Terminal, end: str, code: int) -> None:
    terminal.run("stty -g | cksum; echo before")
    before = await terminal.shows(r"^(\d+ \d+)\nbefore\n")
    terminal.run(f"{f'python -c {shlex.quote(BROKEN_TOP)}' if end == 'a bug' else 'mistudio top'} 2>&1; echo code=$?")
    if end != "a bug":
        await terminal.shows(r"no job runs or waits|▶")
        assert terminal.facts("#{alternate_on} #{cursor_flag}") == "1 0"
        if end == "q":
            terminal.press("q")
        else:
            [top] = psutil.Process(int(terminal.facts("#{pane_pid}"))).children()
            top.terminate()
    await terminal.shows(rf"^code={code}")
    assert terminal.facts("#{alternate_on} #{cursor_flag}") == "0 1"
    terminal.run("clear; stty -g | cksum; echo visible")
    await terminal.shows(rf"^{before[1]}\nvisible\n")


async def test_logs_follow_until_ctrl_c(mesh: Mesh, terminal: Terminal) -> None:
    terminal.resize(140, 40)
    terminal.run("mistudio logs -f -n 1; echo code=$?")
    await terminal.shows(r"^toy +\d\d:\d\d:\d\d info ")
    job = await mesh.submit(count_job(3))
    await terminal.shows(rf"^toy +\d\d:\d\d:\d\d info +job ends +job={job.id} +attempt=1 +outcome=SUCCEEDED")
    terminal.press("C-c")
    await terminal.shows(r"^code=130")
    terminal.run("clear; mistudio logs --level error; echo code=$?")
    await terminal.shows(r"\Acode=0")


async def test_a_job_s_log_is_followed_to_its_end(mesh: Mesh, terminal: Terminal) -> None:
    terminal.resize(140, 40)
    async with endless_job(mesh) as job:
        terminal.run(f"mistudio jobs logs -f {job.id}; echo code=$?")
        await terminal.shows(r"info +#1 toy@1  starts at 0$")
        terminal.press("C-c")
        await terminal.shows(r"^code=130")
        terminal.run(f"clear; mistudio jobs logs -f -n 1 {job.id}; echo code=$?")
        await terminal.shows(r"\A.*starts at 0$")
        await cancel(mesh, job)
        await terminal.shows(r"CANCELLED\ncode=0")
        terminal.run(f"clear; mistudio jobs logs {job.id}; echo code=$?")
        await terminal.shows(r"\A.*QUEUED in training(.*\n)+.*CANCELLING(.*\n)+.*CANCELLED\ncode=0")


async def test_without_a_terminal_top_prints_one_picture(mesh: Mesh, terminal: Terminal) -> None:
    terminal.run("clear; mistudio top | head -3; mistudio top --once < /dev/null | grep -c toy@1")
    await terminal.shows(rf"\Amistudio {mesh.address}  1 worker .*\n\nQUEUE")
    await terminal.shows(r"^[1-9]\d*$")


async def test_doctor(mesh: Mesh, terminal: Terminal) -> None:
    terminal.resize(140, 60)
    terminal.run("mistudio doctor; echo code=$?")
    await terminal.shows(r"! +mesh +queues +No worker serves the queue extraction\.\n +python -m mistudio_extractor")
    await terminal.shows(r"^code=0")
    assert "Traceback" not in terminal.screen()
