"""The stack of one machine with a real broker and real processes: start, crash, stop, and what is left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import sys
from pathlib import Path
from typing import Any, Self

import psutil
import pytest

from mistudio_runtime.broker.discovery import discover_broker
from mistudio_runtime.stack.record import StackRecord, discover_token, read_stack, stack_path
from support.children import GATEWAY, PATIENT, STUBBORN, python
from support.waiting import eventually

DRIVER = """
import asyncio, json, sys
from mistudio_runtime.settings import Settings
from mistudio_runtime.stack.console import Console
from mistudio_runtime.stack.plan import StackPlan, WorkerPlan
from mistudio_runtime.stack.run import run_stack

class Worker(WorkerPlan):
    command = property(lambda self: tuple(json.loads(sys.argv[1])[self.name]))

commands = json.loads(sys.argv[1])
gateway = tuple(commands.pop("gateway"))
plan = StackPlan("full", tuple(Worker(name, (name,)) for name in commands), ("training", "extraction"), gateway)
sys.exit(asyncio.run(run_stack(Settings.load(), plan, Console(list(commands), pretty=False))))
"""


class Run:
    """A supervisor in a process of its own, as `mistudio up` starts it."""

    def __init__(
        self, home: Path, *, listen: str = "127.0.0.1:0", profile: str = "", gateway: str = GATEWAY, **programs: str
    ) -> None:
        """Takes programs to run as gateway and workers, or else a profile of the real ones."""
        self.home = home
        commands = {"gateway": python(gateway), **{name: python(program) for name, program in programs.items()}}
        self._command: tuple[str, ...] = (
            (sys.executable, "-m", "mistudio_runtime.stack", "--profile", profile)
            if profile
            else (sys.executable, "-c", DRIVER, json.dumps(commands))
        )
        self._environment = {
            **os.environ,
            "MISTUDIO_HOME": str(home),
            "MISTUDIO_LISTEN": listen,
            "MISTUDIO_STOP_GRACE_SECONDS": "1",
        }
        self.lines: list[str] = []
        self._options: dict[str, Any] = {}

    def on(self, **options: Any) -> Self:
        """Sets options of the process that the supervisor runs in."""
        self._options = options
        return self

    def after(self, statements: str) -> Self:
        """Has the supervisor's process run some Python before it becomes the supervisor.

        That is no `preexec_fn`: a fork of a process in which gRPC has threads may abort before it gets there.
        """
        become = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"
        self._command = (sys.executable, "-c", f"{statements}; {become}", *self._command)
        return self

    async def __aenter__(self) -> Self:
        self.process = await asyncio.create_subprocess_exec(
            *self._command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment,
            **self._options,
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.ended()
        await eventually(lambda: not self.left(), what="all processes gone")

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip())

    async def said(self, text: str) -> str:
        def found() -> str:
            assert self.process.returncode is None, "\n".join(self.lines)
            return next((line for line in self.lines if text in line), "")

        return await eventually(found, what=text)

    async def ready(self) -> StackRecord:
        await self.said("ready: ")
        record = read_stack(self.home)
        assert record is not None
        assert record.ready
        return record

    async def ended(self) -> int:
        code = await self.process.wait()
        await self._reader
        return code

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def left(self) -> list[psutil.Process]:
        """What still runs on behalf of this home: each such process has it in its environment."""
        return [process for process in psutil.process_iter() if self._belongs(process)]

    def _belongs(self, process: psutil.Process) -> bool:
        try:
            ours = process.environ().get("MISTUDIO_HOME") == str(self.home)
            return ours and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


def _pid(record: StackRecord, name: str) -> int:
    pid = next(process.pid for process in record.processes if process.name == name)
    assert pid is not None
    return pid


def _index(lines: list[str], text: str) -> int:
    return next(number for number, line in enumerate(lines) if text in line)


async def test_it_starts_everything_says_so_and_ends_in_order(home: Path) -> None:
    async with Run(home, trainer=PATIENT, extractor=PATIENT) as run:
        record = await run.ready()
        assert [process.name for process in record.processes] == ["broker", "gateway", "trainer", "extractor"]
        assert record.pid == run.process.pid
        assert discover_broker(home) == record.nats_url
        assert discover_token(home)
        assert stat.S_IMODE(stack_path(home).stat().st_mode) == 0o600
        await run.said("trainer   | up")
        ready = await run.said("ready: ")
        assert f"gateway {record.gateway}, profile full, queues training, extraction" in ready
        run.signal(signal.SIGTERM)
        assert await run.ended() == 0
        assert not run.left()
    assert _index(run.lines, "trainer   | drained") < _index(run.lines, "gateway   | closed")
    assert (home / "logs" / "trainer.log").read_text() == "up\ndrained\n"
    assert not stack_path(home).exists()
    assert discover_broker(home) is None


async def test_ctrl_c_in_a_terminal_reaches_the_supervisor_only(home: Path) -> None:
    ours, theirs = os.openpty()

    take_terminal = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
    try:
        run = Run(home, trainer=PATIENT).after(take_terminal).on(stdin=theirs, start_new_session=True)
        async with run:
            await run.ready()
            await run.said("| up")
            os.write(ours, b"\x03")
            assert await run.ended() == 0
    finally:
        os.close(ours)
        os.close(theirs)
    assert any("trainer  | drained" in line for line in run.lines)
    assert not any("KeyboardInterrupt" in line for line in run.lines)


async def test_a_second_ctrl_c_kills(home: Path) -> None:
    async with Run(home, trainer=STUBBORN) as run:
        await run.ready()
        await run.said("| up")
        run.signal(signal.SIGINT)
        await run.said("stopping")
        run.signal(signal.SIGINT)
        assert await run.ended() == 130
        assert not run.left()
        assert not any("did not end within" in line for line in run.lines)


async def test_a_worker_that_ignores_the_stop_is_killed_after_the_grace_and_no_sooner(home: Path) -> None:
    async with Run(home, trainer=STUBBORN) as run:
        await run.ready()
        await run.said("| up")
        run.signal(signal.SIGTERM)
        await run.said("stopping")
        run.signal(signal.SIGTERM)
        run.signal(signal.SIGHUP)
        await run.said("did not end within 13 s")
        assert await run.ended() == 0
    assert not any("killing what is left" in line for line in run.lines)


async def test_kill_9_of_the_supervisor_leaves_no_process_and_a_new_one_starts(home: Path) -> None:
    async with Run(home, trainer=PATIENT, extractor=STUBBORN) as run:
        record = await run.ready()
        await run.said("trainer   | up")
        await run.said("extractor | up")
        run.process.kill()
        await run.ended()
        assert read_stack(home) is None  # though the file is still there
        assert stack_path(home).exists()
        assert discover_broker(home) is None
        assert discover_token(home) is None
        async with Run(home, trainer=PATIENT) as second:
            await second.said("processes of a killed stack")
            again = await second.ready()
            assert not [process for process in record.processes if process.pid and psutil.pid_exists(process.pid)]
            second.signal(signal.SIGTERM)
            assert await second.ended() == 0
    assert again.nats_url == record.nats_url
    assert "drained" in (home / "logs" / "trainer.log.1").read_text()


@pytest.mark.parametrize("name", ["trainer", "gateway", "broker"])
async def test_a_process_that_is_killed_is_started_again(home: Path, name: str) -> None:
    async with Run(home, trainer=PATIENT) as run:
        before = _pid(await run.ready(), name)
        os.kill(before, signal.SIGKILL)
        await run.said(f"{name} was ended by SIGKILL; it is started again in")

        def restarted() -> bool:
            record = read_stack(home)
            return record is not None and _pid(record, name) != before

        await eventually(restarted)
        run.signal(signal.SIGTERM)
        assert await run.ended() == 0


async def test_a_process_that_keeps_failing_is_started_less_and_less_often(home: Path) -> None:
    async with Run(home, trainer="raise SystemExit('no GPU')") as run:
        await run.said("trainer ended with exit code 1; it is started again in 0.5 s")
        await run.said("trainer ended with exit code 1; it is started again in 1 s")
        await run.said("| no GPU")
        run.signal(signal.SIGTERM)  # in the middle of the wait
        assert await run.ended() == 0


async def test_a_gateway_that_cannot_start_ends_the_start(home: Path) -> None:
    async with Run(home, gateway="raise SystemExit('bad settings')", trainer=PATIENT) as run:
        assert await run.ended() == 1
        assert not run.left()
        assert any("gateway ended with exit code 1 before it was ready" in line for line in run.lines)
        assert not (home / "logs" / "trainer.log").exists()


async def test_a_stop_during_the_start_is_obeyed(home: Path) -> None:
    async with Run(home, gateway=PATIENT) as run:
        await run.said("| up")  # the gateway runs, and never serves
        run.signal(signal.SIGINT)
        assert await run.ended() == 0
        assert not run.left()


async def test_a_second_start_says_what_runs(home: Path) -> None:
    async with Run(home, trainer=PATIENT) as run:
        record = await run.ready()
        async with Run(home, trainer=PATIENT) as second:
            assert await second.process.wait() == 1
            await second._reader
            (line,) = second.lines
            assert f"a stack already runs in {home}" in line
            assert f"profile full at {record.gateway}, pid {record.pid}" in line
            run.signal(signal.SIGTERM)
            assert await run.ended() == 0


async def test_a_taken_port_is_refused_at_once(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        async with Run(home, listen=listen, trainer=PATIENT) as run:
            assert await run.ended() == 1
    (line,) = run.lines
    assert f"{listen} is already taken by process {os.getpid()}" in line
    assert "MISTUDIO_LISTEN" in line
    assert not (home / "broker").exists()


async def test_logs_are_rotated_at_start_and_three_are_kept(home: Path) -> None:
    logs = home / "logs"
    logs.mkdir(parents=True)
    for name in ("trainer.log", "trainer.log.1", "trainer.log.2", "trainer.log.3"):
        (logs / name).write_text(name)
    async with Run(home, trainer=PATIENT) as run:
        await run.ready()
        run.signal(signal.SIGTERM)
        assert await run.ended() == 0
    assert [(logs / f"trainer.log.{n}").read_text() for n in (1, 2, 3)] == [
        "trainer.log",
        "trainer.log.1",
        "trainer.log.2",
    ]
    assert not (logs / "trainer.log.4").exists()


async def test_the_real_services_come_up_and_leave_nothing_behind(home: Path) -> None:
    async with Run(home, profile="datasets") as run:
        record = await run.ready()
        assert [process.name for process in record.processes] == ["broker", "gateway", "ingest", "curator"]
        run.signal(signal.SIGTERM)
        assert await run.ended() == 0
        assert not run.left()
    async with Run(home, profile="datasets") as run:
        await run.ready()
        run.process.kill()
        await run.ended()  # and leaving the context waits until nothing of it runs


async def test_bad_arguments_and_settings_are_one_readable_error(home: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mistudio_runtime.stack", "--profile", "nope", stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await process.communicate()
    assert process.returncode == 2
    assert (
        complaint.decode() == "mistudio: there is no profile 'nope'; choose one of minimal, full, datasets, training\n"
    )


async def test_ctrl_c_while_it_still_imports_is_no_traceback(tmp_path: Path) -> None:
    slow = "import signal; print('importing', flush=True); signal.pause()"
    (tmp_path / "pydantic_settings.py").write_text(slow)
    # Whoever runs the tests in the background of a shell has SIGINT ignored, and children inherit that.
    program = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"{program}runpy.run_module('mistudio_runtime.stack', run_name='__main__')"),
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"importing\n"
    process.send_signal(signal.SIGINT)
    assert await process.stdout.read() == b""
    assert await process.wait() == 130


async def test_a_home_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    home = tmp_path / "file"
    home.touch()
    async with Run(home, trainer=PATIENT) as run:
        assert await run.ended() == 1
    (line,) = run.lines
    assert "Not a directory" in line


async def test_nohup_is_respected(home: Path) -> None:
    ignore = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    async with Run(home, trainer=PATIENT).after(ignore) as run:
        await run.ready()
        await run.said("| up")
        run.signal(signal.SIGHUP)
        run.signal(signal.SIGTERM)
        assert await run.ended() == 0
    assert not any("killing" in line for line in run.lines)
