"""One run of the stack, from the command line to its exit code."""

from __future__ import annotations

import asyncio
import signal

from mistudio_runtime.settings import Settings
from mistudio_runtime.stack.console import Console
from mistudio_runtime.stack.plan import StackPlan
from mistudio_runtime.stack.supervisor import START_ERRORS, Stack

STOPPED, FAILED, KILLED = 0, 1, 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _StopRequest:
    """The first signal asks for an orderly end; Ctrl-C after it for an immediate one."""

    def __init__(self, stack: Stack, console: Console) -> None:
        self.asked = asyncio.Event()
        self.impatient = False
        self._stack = stack
        self._console = console

    def __call__(self, number: signal.Signals) -> None:
        """Obeys. Only Ctrl-C is impatient: SIGTERM and SIGHUP may come from several sides, each of them once."""
        if not self.asked.is_set():
            self._console.say(
                "stopping: jobs finish, save a checkpoint or go back to their queue; Ctrl-C again kills them"
            )
            self.asked.set()
        elif number == signal.SIGINT:
            self._console.say("killing what is left")
            self.impatient = True
            self._stack.kill()


async def run_stack(settings: Settings, plan: StackPlan, console: Console) -> int:
    """Runs until SIGINT, SIGTERM or SIGHUP.

    Returns 0 after an orderly end that was asked for, 1 if the stack could not start (and says why), 130 if what was
    left was killed by a Ctrl-C after that.
    """
    stack = Stack(settings, plan, console)
    request = _StopRequest(stack, console)
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        # nohup has SIGHUP ignored, and means it.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, request, number)
    try:
        await _start_unless_asked(stack, request)
        await request.asked.wait()
    except START_ERRORS as error:
        console.say(str(error))
        return FAILED
    finally:
        await stack.stop()
    console.say("stopped")
    return KILLED if request.impatient else STOPPED


async def _start_unless_asked(stack: Stack, request: _StopRequest) -> None:
    starting = asyncio.create_task(stack.start())
    asked = asyncio.create_task(request.asked.wait())
    await asyncio.wait([starting, asked], return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if starting.done():
        await starting
        return
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
