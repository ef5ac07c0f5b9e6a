"""Runs a quick job in a thread of the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor

import structlog

from mistudio import v1
from mistudio_runtime.jobs import Handler, JobContext, ServiceContext, Stop
from mistudio_runtime.worker.coalesce import CoalescedReports
from mistudio_runtime.worker.library_lines import library_lines
from mistudio_runtime.worker.outcome import run_handler

Report = Callable[[v1.AttemptReport], Awaitable[None]]


class InlineRun:
    """One job in one thread. It can be asked to stop, not made to: only kinds that end within seconds run so."""

    def __init__(self, handler: Handler, granted: v1.ClaimAnswer, service: ServiceContext, threads: Executor) -> None:
        """Takes the attempt that was granted, what jobs may use, and the threads."""
        self._handler = handler
        self._job = granted.job
        self._threads = threads
        self._reports: asyncio.Queue[v1.AttemptReport | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._coalesced = CoalescedReports(self._emit)
        self._context = JobContext(
            job_id=granted.job.id,
            attempt=granted.attempt,
            device=granted.device,
            store=service.store,
            settings=service.settings,
            emit=self._coalesced,
        )

    async def run(self, report: Report) -> v1.AttemptEnd:
        """Runs the job to its end."""
        passing_on = asyncio.create_task(self._pass_on(report))
        end = await self._loop.run_in_executor(self._threads, self._run)
        self._reports.put_nowait(None)
        await passing_on
        return end

    def stop(self, stop: Stop, grace: float) -> None:  # noqa: ARG002 - a thread has no harder way to be stopped
        """Asks the job to stop."""
        self._context.request_stop(stop)

    def kill(self) -> None:
        """Asks the job to stop."""
        self._context.request_stop(Stop.CANCEL)

    def _run(self) -> v1.AttemptEnd:
        bound = structlog.contextvars.bound_contextvars(job=self._context.job_id, attempt=self._context.attempt)
        with bound, library_lines(self._context, whole_process=False):
            end = run_handler(self._handler, self._job.spec, self._context)
        self._coalesced.flush()
        return end

    def _emit(self, report: v1.AttemptReport) -> None:
        self._loop.call_soon_threadsafe(self._reports.put_nowait, report)

    async def _pass_on(self, report: Report) -> None:
        while (message := await self._reports.get()) is not None:
            await report(message)
