"""The ledger's content in memory, kept so by reading what other gateways have written."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Collection

import nats.errors
import structlog
from google.protobuf.message import DecodeError
from nats.aio.client import Client
from nats.aio.msg import Msg

from mistudio import v1
from mistudio_gateway.ledger_record import LedgerRecord
from mistudio_gateway.state_machine import TERMINAL
from mistudio_gateway.stream_pages import StreamPages
from mistudio_runtime.broker import names
from mistudio_runtime.errors import UnavailableError
from mistudio_runtime.tasks import end_tasks

log = structlog.get_logger(__name__)

_PAGE = 1_000
_LOOK_SECONDS = 1.0
"""Nudges may get lost."""
_NUDGE_SECONDS = 0.02
"""Between two nudges of one gateway."""
Hear = Callable[[str, "v1.Job | None"], None]


class LedgerMirror:
    """All records, as far as this gateway knows. They may be behind: decide by compare-and-set, not by these.

    A gateway does not read back what it has written itself. `_known` is the position in the bucket's stream up to
    which nothing is missing; positions of its own beyond it wait in `_own` until the gap is filled.
    """

    def __init__(self, client: Client) -> None:
        """Takes the connection."""
        self.records: dict[str, LedgerRecord] = {}
        self.hear: Hear = lambda _job_id, _job: None
        """Is called with each record that is new, and with None for one that has gone."""
        self._client = client
        self._pages = StreamPages(client, names.bucket_stream(names.LEDGER_BUCKET), names.ledger_subject("*"))
        self._unfinished: defaultdict[v1.JobState.ValueType, dict[str, LedgerRecord]] = defaultdict(dict)
        """Those of `records` that are not over, by state: they are looked for many times a second."""
        self._gone: dict[str, int] = {}
        """Deleted jobs to the positions of their deletions beyond `_known`: a page may have been read before."""
        self._known = 0
        self._reconnects = 0
        self._own: set[int] = set()
        self._news = asyncio.Event()
        self._nudged = 0.0
        self._nudging: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Reads the ledger, then begins to follow it. Waits for the broker as long as it takes."""
        await self._client.subscribe(names.LEDGER_NUDGE, cb=self._on_nudge)
        while not await self._read_on():  # noqa: ASYNC110 - it asks the broker
            await asyncio.sleep(_LOOK_SECONDS)
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Ends."""
        await end_tasks(self._task)
        if self._nudging is not None:
            self._nudging.cancel()

    def put(self, job: v1.Job, data: bytes, revision: int) -> None:
        """Takes over what this gateway has written, and lets the others know."""
        self._take(job, data, revision)
        self._note_own(revision)

    def learn(self, record: LedgerRecord) -> None:
        """Takes over what was read beside the mirror."""
        self._take(record.job, record.data, record.revision)

    def drop(self, job_id: str, revision: int) -> None:
        """Takes over that this gateway has deleted a record."""
        self._forget(job_id, revision)
        self._note_own(revision)

    def in_states(self, states: Collection[v1.JobState.ValueType]) -> list[v1.Job]:
        """Returns the jobs in some states; not to be changed."""
        if TERMINAL.intersection(states):
            return [record.job for record in self.records.values() if record.state in states]
        return [record.job for state in states for record in self._unfinished[state].values()]

    def unfinished(self) -> list[v1.Job]:
        """Returns the jobs that are not over; not to be changed."""
        return [record.job for records in self._unfinished.values() for record in records.values()]

    def _take(self, job: v1.Job, data: bytes, revision: int) -> None:
        known = self.records.get(job.id)
        if (known is not None and known.revision >= revision) or self._gone.get(job.id, 0) > revision:
            return
        record = self.records[job.id] = LedgerRecord.of(job, data, revision)
        if known is not None and known.state != record.state:
            self._unfinished[known.state].pop(job.id, None)
        if not record.over:
            self._unfinished[record.state][job.id] = record
        self.hear(job.id, job)

    def _forget(self, job_id: str, revision: int) -> None:
        if revision > self._known:
            self._gone[job_id] = max(revision, self._gone.get(job_id, 0))
        known = self.records.get(job_id)
        if known is not None and known.revision < revision:
            del self.records[job_id]
            self._unfinished[known.state].pop(job_id, None)
            self.hear(job_id, None)

    def _note_own(self, revision: int) -> None:
        self._own.add(revision)
        self._advance()
        if self._nudging is None:
            wait = max(0.0, self._nudged + _NUDGE_SECONDS - time.monotonic())
            self._nudging = asyncio.get_running_loop().call_later(wait, self._nudge)

    def _advance(self) -> None:
        while self._known + 1 in self._own:
            self._known += 1
            self._own.discard(self._known)

    def _nudge(self) -> None:
        self._nudging, self._nudged = None, time.monotonic()
        asyncio.ensure_future(self._publish_nudge())  # noqa: RUF006 - one buffered write; a lost nudge harms nobody

    async def _publish_nudge(self) -> None:
        with contextlib.suppress(nats.errors.Error):
            await self._client.publish(names.LEDGER_NUDGE, self._name())

    def _name(self) -> bytes:
        return str(self._client.client_id).encode()

    async def _on_nudge(self, message: Msg) -> None:
        if message.data != self._name():
            self._news.set()

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._news.wait()
            self._news.clear()
            if self._client.stats["reconnects"] == self._reconnects or await self._look_for_losses():
                await self._read_on()

    async def _look_for_losses(self) -> bool:
        """After the connection was lost: a broker that has lost its last records is read anew from the first.

        Returns False if the broker does not answer.
        """
        reconnects = self._client.stats["reconnects"]
        try:
            last = await self._pages.last(names.ledger_subject("*"))
        except UnavailableError:
            return False
        if self._known > (last.sequence if last else 0):
            log.warning("broker has lost records of the ledger", known=self._known)
            self._known, self._own = 0, set()
            for job_id, record in list(self.records.items()):
                self._forget(job_id, record.revision + 1)
            self._gone.clear()
        self._reconnects = reconnects
        return True

    async def _read_on(self) -> bool:
        """Reads what is missing; returns False if the broker does not answer."""
        more = True
        while more:
            try:
                page = await self._pages.after(self._known, _PAGE)
            except UnavailableError:
                return False
            for position, subject, headers, data in page.messages:
                self._hear_of(names.job_of_subject(subject), headers, data, position)
            if page.last > self._known:
                # Between two messages of a page there is nothing that still counts.
                self._known = page.last
                self._own = {position for position in self._own if position > page.last}
                self._gone = {job_id: position for job_id, position in self._gone.items() if position > page.last}
                self._advance()
            more = page.more
        return True

    def _hear_of(self, job_id: str, headers: dict[str, str], data: bytes, position: int) -> None:
        if headers.get("KV-Operation"):
            self._forget(job_id, position)
            return
        try:
            job = v1.Job.FromString(data)
            if job.id == job_id:
                self._take(job, data, position)
                return
        except DecodeError:
            pass
        log.error("record cannot be read", job=job_id)
