"""Takes a job out of its queue."""

from __future__ import annotations

import contextlib

from mistudio import v1
from mistudio_gateway.dispatcher import Dispatcher
from mistudio_gateway.ledger import Ledger
from mistudio_runtime.errors import ExhaustedError, NotFoundError


async def withdraw(ledger: Ledger, dispatcher: Dispatcher, job: v1.Job) -> None:
    """Removes the messages of a job whose record says that it is not queued. Raises UnavailableError.

    Whoever put it back in the meantime may have lost the new message to this: then it gets another one. With one too
    many the claim of the second is refused.
    """
    await dispatcher.remove(job)
    with contextlib.suppress(NotFoundError, ExhaustedError):  # without room the reconciler does it when there is some
        now = await ledger.get(job.id)
        if now.state == v1.JOB_STATE_QUEUED and not await dispatcher.has_message(now):
            await dispatcher.enqueue(now, lost=True)
