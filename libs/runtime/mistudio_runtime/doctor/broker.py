"""The broker that processes of this home use: reachable, and with the mesh's streams."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import nats.errors
from nats.aio.client import Client

from mistudio import v1
from mistudio_runtime.broker.discovery import discover_broker
from mistudio_runtime.broker.facts import BrokerFacts
from mistudio_runtime.broker.inspection import BrokerInspection
from mistudio_runtime.broker.provision import buckets, streams
from mistudio_runtime.broker.url import address_of, servers_of
from mistudio_runtime.findings import Finding, fine, problem, warning
from mistudio_runtime.findings.broker import CHECK, START_EXTERNAL, judge_broker
from mistudio_runtime.findings.text import listed
from mistudio_runtime.settings import Settings
from mistudio_runtime.stack.record import StackRecord

CONNECT_SECONDS = 3.0


class UnreachableError(Exception):
    """No connection; the message says why, without credentials."""


async def check_broker(settings: Settings, record: StackRecord | None) -> list[Finding]:
    """Connects as a process of this home would. Credentials are never told."""
    own = discover_broker(settings.home)
    url = settings.nats_url or (record.nats_url if record else "") or own
    if not url:
        return [fine(CHECK, "No broker runs in this home; mistudio up starts one.")]
    try:
        async with _connection(url) as client:
            inspection = BrokerInspection(client, url)
            facts = await inspection.look([*streams(settings), *buckets(settings)])
            await inspection.ask_whether_it_stores(facts)
    except UnreachableError as error:
        command = "mistudio logs broker" if url == own else START_EXTERNAL
        return [problem(CHECK, f"The broker at {address_of(url)} cannot be reached: {error}.", command)]
    return judge(facts, embedded=url == own)


def judge(facts: BrokerFacts, *, embedded: bool) -> list[Finding]:
    """Judges the broker and whether the mesh's streams are there; how they should be only a gateway knows."""
    judged = judge_broker(facts, embedded=embedded)
    missing = [stream.name for stream in facts.streams if stream.missing]
    if missing and all(finding.severity == v1.SEVERITY_OK for finding in judged):
        sentence = f"The broker at {facts.address} runs but lacks {listed(missing)}, which a gateway makes."
        return [warning(CHECK, sentence, "python -m mistudio_gateway")]
    return judged


@asynccontextmanager
async def _connection(url: str) -> AsyncIterator[Client]:
    reasons = ["it does not answer"]

    async def note(error: Exception) -> None:
        if reason := _reason(error):
            reasons.append(reason)

    client = Client()
    try:
        connecting = client.connect(
            servers_of(url), name="doctor", allow_reconnect=False, connect_timeout=2, error_cb=note
        )
        await asyncio.wait_for(connecting, CONNECT_SECONDS)
    except (nats.errors.Error, OSError, TimeoutError, ValueError) as error:
        await note(error)
        raise UnreachableError(reasons[-1]) from None
    try:
        yield client
    finally:
        with suppress(nats.errors.Error, OSError):
            await client.close()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower() if error.errno > 0 else "its name is not known"
    return "it refuses the credentials" if "Authorization" in str(error) else ""
