"""Asks a broker how it is. It answers promptly, or is said not to answer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, ConsumerInfo, StreamConfig, StreamInfo
from nats.js.errors import APIError, ServerError
from nats.js.kv import KV_DEL, KV_OP

from mistudio_runtime.broker import names
from mistudio_runtime.broker.facts import BrokerFacts, StreamFacts
from mistudio_runtime.broker.url import address_of

PROMPT_SECONDS = 2.0
"""Within which a broker in good health answers."""
_FAILURES = (nats.errors.Error, OSError)
_NO_LEADER = 10008


class BrokerInspection:
    """Asks through one connection. Raises nothing: what is not answered is left out of the facts."""

    def __init__(self, client: Client, url: str) -> None:
        """Takes a connection, which may be down, and the URL that it was made with."""
        self.url = url
        self._client = client
        self._js = client.jetstream(timeout=PROMPT_SECONDS)

    async def look(self, streams: Sequence[StreamConfig]) -> BrokerFacts:
        """Returns how the broker and these streams are, and whether they are as they are wanted."""
        facts = BrokerFacts(address_of(self.url), connected=self._client.is_connected)
        if facts.connected:
            await self._account(facts)
        if facts.usable:
            facts.streams = await asyncio.gather(*(self._stream(facts, wanted) for wanted in streams))
        return facts

    async def look_at_consumers(self, facts: BrokerFacts, wanted: Sequence[ConsumerConfig]) -> None:
        """Adds how the consumers of JOBS are, and how many messages they have."""
        found = StreamFacts(names.JOBS_STREAM)
        with suppress(*_FAILURES):
            infos = {info.name: info for info in await self._all_consumers()}
            facts.messages = {
                name: (info.num_pending or 0) + (info.num_ack_pending or 0) for name, info in infos.items()
            }
            found.missing = any(consumer.durable_name not in infos for consumer in wanted)
            found.differences = _consumer_differences(wanted, infos)
            facts.consumers = found

    async def ask_whether_it_stores(self, facts: BrokerFacts) -> None:
        """Adds the streams that store nothing more.

        After a failed write nats-server writes nothing more to a stream until it is started again, whatever room there
        is by then, and says so only to who wants to purge: so it is asked to purge what is not there. The one thing
        that is really written is a mark that a key of the workers' bucket, which never was, is deleted.
        """
        if not facts.usable:
            return
        questions = [self._purge_nothing(stream) for stream in facts.streams if not stream.missing]
        await asyncio.gather(*questions, self._write(facts))

    async def _account(self, facts: BrokerFacts) -> None:
        began = time.monotonic()
        try:
            account = await self._js.account_info()
        except APIError as error:  # it answers that it has no JetStream for us, or nobody to lead it
            facts.round_trip = time.monotonic() - began
            facts.led = error.err_code != _NO_LEADER
        except _FAILURES:
            return
        else:
            facts.round_trip = time.monotonic() - began
            facts.jetstream = True
            facts.used_bytes, facts.limit_bytes = account.storage, max(0, account.limits.max_storage)
        version = self._client.connected_server_version
        facts.version = (version.major, version.minor, version.patch)

    async def _stream(self, facts: BrokerFacts, wanted: StreamConfig) -> StreamFacts:
        found = StreamFacts(wanted.name or "")
        began = time.time()
        with suppress(*_FAILURES):
            answer = await self._client.request(f"$JS.API.STREAM.INFO.{found.name}", timeout=PROMPT_SECONDS)
            document: dict[str, Any] = json.loads(answer.data)
            if "error" in document:
                found.missing = document["error"].get("code") == 404  # noqa: PLR2004 - as in HTTP
                return found
            if told := document.get("ts"):
                facts.clock_offset = datetime.fromisoformat(told).timestamp() - (began + time.time()) / 2
            found.behind = [
                str(one["name"])
                for one in document.get("cluster", {}).get("replicas") or []
                if one.get("offline") or not one.get("current")
            ]
            found.differences = differences(wanted, StreamInfo.from_response(document).config)
        return found

    async def _all_consumers(self) -> list[ConsumerInfo]:
        found: list[ConsumerInfo] = []
        while page := await self._js.consumers_info(names.JOBS_STREAM, offset=len(found)):
            found += page
        return found

    async def _purge_nothing(self, stream: StreamFacts) -> None:
        try:
            await self._js.purge_stream(stream.name, subject=_nothing_of(stream.name))
        except ServerError as error:
            stream.refusal = _reason(error)
        except _FAILURES:
            pass  # no answer is told of elsewhere

    async def _write(self, facts: BrokerFacts) -> None:
        name = names.bucket_stream(names.WORKERS_BUCKET)
        stream = next((one for one in facts.streams if one.name == name and not one.missing), None)
        if stream is None:
            return
        try:
            await self._js.publish(
                f"$KV.{names.WORKERS_BUCKET}.{names.PROBE}", b"", timeout=PROMPT_SECONDS, headers={KV_OP: KV_DEL}
            )
        except APIError as error:
            stream.refusal = stream.refusal or _reason(error)
        except _FAILURES:
            stream.refusal = stream.refusal or "it confirms no write"


def differences(wanted: StreamConfig | ConsumerConfig, there: StreamConfig | ConsumerConfig) -> list[str]:
    """Returns each field that is wanted and has another value, as "max_age is 15.0, not 30.0"."""
    pairs = ((name, value, getattr(there, name, None)) for name, value in vars(wanted).items() if value is not None)
    return [f"{name} is {_plain(found)}, not {_plain(value)}" for name, value, found in pairs if found != value]


def _consumer_differences(wanted: Iterable[ConsumerConfig], infos: Mapping[str, ConsumerInfo]) -> list[str]:
    """Returns what differs, each once: all consumers are made alike."""
    compared = [
        differences(consumer, infos[name].config)
        for consumer in wanted
        if (name := consumer.durable_name or "") in infos
    ]
    return list(dict.fromkeys(difference for found in compared for difference in found))


def _plain(value: object) -> object:
    return getattr(value, "value", value)


def _nothing_of(stream: str) -> str:
    """Returns a subject of a stream on which nothing is ever published."""
    subjects = {
        names.JOBS_STREAM: names.job_subject(names.PROBE, 1, names.PROBE),
        names.EVENTS_STREAM: names.event_subject(names.PROBE),
        names.SCHEDULES_STREAM: names.due_subject(names.PROBE),
    }
    return subjects.get(stream, f"$KV.{stream.removeprefix('KV_')}.{names.PROBE}.{names.PROBE}")


def _reason(error: APIError) -> str:
    """Returns what went wrong without the path in the broker's store that it begins with."""
    return (error.description or "it gives no reason").rpartition(": ")[2]
