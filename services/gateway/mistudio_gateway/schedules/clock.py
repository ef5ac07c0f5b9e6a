"""The broker's messages that are held back until their time: one waits for each schedule, or is due."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext
from nats.js.api import Header
from nats.js.errors import NotFoundError

from mistudio import v1
from mistudio_gateway.broker_errors import broker_answers
from mistudio_runtime.broker import names
from mistudio_runtime.broker.schedule_stream import CONSUMER, DELIVERY, PATTERNS

_PROMPT_SECONDS = 5.0


class BrokerClock:
    """Holds a schedule's next message back until its time, by the broker's clock, whatever restarts meanwhile.

    nats-server repeats messages, too, but forgets what came due while it was down, and then counts "@every" anew. So
    each message is for one time, and the next one is armed when it has been dealt with. Every method raises
    UnavailableError if the broker does not answer.
    """

    def __init__(self, client: Client, js: JetStreamContext) -> None:
        """Takes the connection."""
        self._client = client
        self._js = js

    async def listen(self, hear: Callable[[Msg], Awaitable[None]]) -> Subscription:
        """Has each due message brought here or to another gateway, again and again until it is acknowledged."""
        return await self._client.subscribe(DELIVERY, queue=CONSUMER, cb=hear)

    async def now(self) -> datetime:
        """Returns the broker's time, by which messages come due."""
        with broker_answers():
            answer = await self._client.request(
                f"$JS.API.STREAM.INFO.{names.SCHEDULES_STREAM}", timeout=_PROMPT_SECONDS
            )
        return datetime.fromisoformat(json.loads(answer.data)["ts"])

    async def arm(self, schedule: v1.Schedule) -> None:
        """Holds a message back until the schedule's next_time, in place of the one that it had."""
        at = schedule.next_time.ToDatetime(UTC)
        headers = {
            Header.SCHEDULE.value: f"@at {at.isoformat(timespec='milliseconds').replace('+00:00', 'Z')}",
            Header.SCHEDULE_TARGET.value: names.due_subject(schedule.name),
        }
        with broker_answers():
            await self._js.publish(names.armed_subject(schedule.name), schedule.SerializeToString(), headers=headers)

    async def disarm(self, name: str) -> None:
        """Removes what waits and what is due of a schedule."""
        with broker_answers():
            for subject in (names.armed_subject(name), names.due_subject(name)):
                await self._js.purge_stream(names.SCHEDULES_STREAM, subject=subject)

    async def armed(self, name: str) -> v1.Schedule | None:
        """Returns what is due or waits of a schedule, as it was armed."""
        for subject in (names.due_subject(name), names.armed_subject(name)):
            with broker_answers():
                try:
                    message = await self._js.get_last_msg(names.SCHEDULES_STREAM, subject)
                except NotFoundError:
                    continue
            return v1.Schedule.FromString(message.data or b"")
        return None

    async def all_names(self) -> set[str]:
        """Returns the schedules of which something waits or is due."""
        subjects: set[str] = set()
        for pattern in PATTERNS:
            with broker_answers():
                info = await self._js.stream_info(names.SCHEDULES_STREAM, subjects_filter=pattern)
            subjects |= (info.state.subjects or {}).keys()
        return {names.schedule_of_subject(subject) for subject in subjects}
