"""Guards with real processes and real kills."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from mistudio_runtime.processes.guard import MAX_BACKLOG_BYTES
from mistudio_runtime.processes.guarded import MAX_LINE_BYTES, GuardedProcess
from mistudio_runtime.processes.spec import ProcessSpec, ProcessStartError, describe_exit
from support.children import PARENT, PATIENT, STUBBORN, python
from support.waiting import eventually

OWNER = """
import asyncio, sys
from pathlib import Path
from mistudio_runtime.processes.guarded import GuardedProcess
from mistudio_runtime.processes.spec import ProcessSpec

async def main():
    spec = ProcessSpec("child", tuple(sys.argv[2:]), Path(sys.argv[1]), orphan_grace_seconds=0.2)
    process = await GuardedProcess.launch(spec, lambda line: print(process_pid(), line, flush=True))
    holder.append(process)
    await process.wait()

holder = []
def process_pid():
    return holder[0].pid
asyncio.run(main())
"""


class Child:
    """A guarded child, its lines and a way to wait for one."""

    def __init__(self, log: Path, command: tuple[str, ...], **spec: object) -> None:
        self.spec = ProcessSpec("child", command, log, **spec)  # type: ignore[arg-type]
        self.lines: list[str] = []

    async def launch(self) -> GuardedProcess:
        return await GuardedProcess.launch(self.spec, self.lines.append)

    async def said(self, text: str) -> str:
        return await eventually(lambda: next((line for line in self.lines if text in line), ""), what=text)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "child.log"


def _gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def _text(file: Path) -> str:
    return file.read_text()


async def test_output_goes_to_the_listener_and_to_the_log(log: Path) -> None:
    child = Child(log, python("import sys; print('a\\nb'); sys.stderr.write('c')"))
    process = await child.launch()
    assert await process.wait() == 0
    assert child.lines == ["a", "b", "c"]
    assert _text(log) == "a\nb\nc"


async def test_a_long_line_comes_in_pieces_and_nothing_is_lost(log: Path) -> None:
    size = 4 * MAX_LINE_BYTES
    child = Child(log, python(f"print('x' * {size}); print('end')"))
    assert await (await child.launch()).wait() == 0
    assert "".join(child.lines) == "x" * size + "end"


async def test_a_reader_that_stalls_does_not_stall_the_process(log: Path) -> None:
    count = 4 * MAX_BACKLOG_BYTES // 100
    program = f"import sys\nfor n in range({count}): print('x' * 99)\nopen(sys.argv[1], 'w')"
    done = log.parent.parent / "done"
    child = Child(log, python(program, str(done)))
    process = await child.launch()
    while not done.exists():  # blocks the loop on purpose: nobody reads
        os.sched_yield()
    assert await process.wait() == 0
    assert len(_text(log)) == count * 100
    assert len(child.lines) < count


async def test_an_exit_code_and_a_signal_are_told_apart(log: Path) -> None:
    assert await (await Child(log, python("raise SystemExit(3)")).launch()).wait() == 3
    killed = await Child(log, python("import os; os.kill(os.getpid(), 9)")).launch()
    assert describe_exit(await killed.wait()) == "was ended by SIGKILL"


async def test_what_cannot_be_started_says_so(log: Path) -> None:
    with pytest.raises(ProcessStartError, match=r"child cannot be started: .*No such file.*nowhere"):
        await Child(log, ("/nowhere",)).launch()


async def test_a_stop_is_orderly(log: Path) -> None:
    child = Child(log, python(PATIENT))
    process = await child.launch()
    await child.said("up")
    assert await process.stop(30)
    assert child.lines == ["up", "drained"]


async def test_who_ignores_a_stop_is_killed_after_the_grace(log: Path) -> None:
    child = Child(log, python(STUBBORN))
    process = await child.launch()
    await child.said("up")
    assert not await process.stop(0.1)
    assert await process.wait() == -signal.SIGKILL


async def test_children_of_a_killed_process_go_with_it(log: Path) -> None:
    child = Child(log, python(PARENT, STUBBORN))
    process = await child.launch()
    grandchild = int((await child.said("child")).split()[1])
    os.kill(process.pid, signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
    await eventually(lambda: _gone(grandchild))


async def test_a_killed_guard_takes_its_process_along(log: Path) -> None:
    child = Child(log, python(STUBBORN))
    process = await child.launch()
    await child.said("up")
    guard = psutil.Process(process.pid).parent()
    assert guard is not None
    guard.kill()
    assert await process.wait() == -signal.SIGKILL
    await eventually(lambda: _gone(process.pid))


async def test_a_child_has_a_session_of_its_own(log: Path) -> None:
    child = Child(log, python(PATIENT))
    process = await child.launch()
    await child.said("up")
    guard = psutil.Process(process.pid).parent()
    assert guard is not None
    assert len({os.getsid(0), os.getsid(guard.pid), os.getsid(process.pid)}) == 3
    os.kill(guard.pid, signal.SIGINT)  # as a terminal would
    assert await process.stop(30)


@pytest.mark.parametrize("program", [PATIENT, STUBBORN])
async def test_kill_9_of_the_owner_ends_the_child(log: Path, program: str) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(log), *python(program), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    pid = int((await owner.stdout.readline()).split()[0])
    guard = psutil.Process(pid).parent()
    assert guard is not None
    owner.kill()
    await owner.wait()
    await eventually(lambda: _gone(pid) and _gone(guard.pid))
    assert ("drained" in _text(log)) == (program is PATIENT)  # what it says after the crash is still logged
