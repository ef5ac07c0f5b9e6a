"""The process of one job: runs it, tells its parent, obeys it, and never outlives it."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import signal
import sys
import tempfile
import threading
from multiprocessing.connection import Connection

import structlog

from mistudio import v1
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.jobs import Handler, JobContext, Stop
from mistudio_runtime.settings import Settings
from mistudio_runtime.telemetry.logging import configure_logging
from mistudio_runtime.worker.coalesce import CoalescedReports
from mistudio_runtime.worker.library_lines import library_lines
from mistudio_runtime.worker.outcome import run_handler

log = structlog.get_logger(__name__)

_PR_SET_PDEATHSIG = 1


def main(connection: Connection, handler: Handler, granted: bytes, settings: Settings, folder: str) -> None:
    """Runs the job of a serialized ClaimAnswer; `folder` is for temporary files.

    Up go serialized AttachRequests (reports, then one end); down come the values of Stop.
    """
    _lead_a_group()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the worker's business
    tempfile.tempdir = os.environ["TMPDIR"] = folder
    answer = v1.ClaimAnswer.FromString(granted)
    record, attempt = answer.job, answer.attempt
    configure_logging(settings, handler.kind, job=record.id, attempt=attempt)
    faulthandler.enable()  # a crash in native code tells where, in the worker's log
    threading.excepthook = _log_broken_thread
    up = _Upstream(connection)
    reports = CoalescedReports(up.report)
    context = JobContext(
        job_id=record.id,
        attempt=attempt,
        store=ArtifactStore.open(settings.artifacts_url),
        settings=settings,
        emit=reports,
        device=answer.device,
    )
    threading.Thread(target=_obey, args=(connection, context), daemon=True).start()
    with library_lines(context, whole_process=True):
        end = run_handler(handler, record.spec, context)
    reports.flush()
    up.end(end)
    connection.close()


def _lead_a_group() -> None:
    """Makes all that this process will start endable with it, and ends it with the forkserver where that can be had.

    The forkserver ends with the worker, and a job that is stuck in native code can do nothing by itself any more.
    """
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_group() -> None:
    """The worker is gone, and with it whoever could use a result: another attempt runs elsewhere."""
    with contextlib.suppress(OSError):
        os.killpg(0, signal.SIGKILL)


def _log_broken_thread(broken: threading.ExceptHookArgs) -> None:
    name = broken.thread.name if broken.thread else "unknown"
    log.error("a thread of the job broke", thread=name, exc_info=broken.exc_value)


class _Upstream:
    """Writes to the parent, from any thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def report(self, report: v1.AttemptReport) -> None:
        self._send(v1.AttachRequest(report=report))

    def end(self, end: v1.AttemptEnd) -> None:
        self._send(v1.AttachRequest(end=end))

    def _send(self, message: v1.AttachRequest) -> None:
        with self._lock:
            try:
                self._connection.send_bytes(message.SerializeToString())
            except OSError:
                _end_group()


def _obey(connection: Connection, context: JobContext) -> None:
    try:
        while True:
            context.request_stop(Stop(connection.recv_bytes().decode()))
    except (EOFError, OSError):
        if not connection.closed:
            _end_group()
