"""The parts of schedules, made and started in order."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import structlog
from nats.aio.client import Client

from mistudio_gateway.ledger import Ledger
from mistudio_gateway.schedules.clock import BrokerClock
from mistudio_gateway.schedules.firing import Firing
from mistudio_gateway.schedules.plan import Schedules
from mistudio_gateway.schedules.records import ScheduleRecords
from mistudio_gateway.submission import Submission
from mistudio_runtime.broker.schedule_stream import provision_schedules, schedules_bucket
from mistudio_runtime.errors import UnavailableError
from mistudio_runtime.schedules import ScheduleTable
from mistudio_runtime.settings import Settings

log = structlog.get_logger(__name__)
_PAUSE_SECONDS = 1.0


async def start_schedules(
    client: Client,
    settings: Settings,
    table: ScheduleTable,
    *,
    submission: Submission,
    ledger: Ledger,
    stack: AsyncExitStack,
) -> Schedules:
    """Makes what the broker needs, and begins to hear of what comes due until `stack` is left.

    A broker that can hold no schedules is no reason not to start: who asks for schedules is told.
    """
    js = client.jetstream()
    refusal = await provision_schedules(js, settings)
    clock, records = BrokerClock(client, js), ScheduleRecords(client, await schedules_bucket(js, settings))
    schedules = Schedules(table, clock, records, submission, refusal)
    if not refusal:
        await _agree(schedules)
        heard = await clock.listen(Firing(table, clock, records, submission, ledger).hear)
        stack.push_async_callback(heard.drain)
    return schedules


async def _agree(schedules: Schedules) -> None:
    while True:
        try:
            await schedules.agree()
        except UnavailableError:
            log.warning("schedules have to wait: the broker does not answer; trying again")
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return
