"""Commands for workers, from any gateway to the one that a worker is attached to."""

from __future__ import annotations

from nats.aio.client import Client
from nats.aio.msg import Msg

from mistudio import v1
from mistudio_gateway.broker_errors import broker_answers
from mistudio_gateway.sessions import Sessions
from mistudio_runtime.broker import names


class Commands:
    """Sends commands through the broker. They may get lost: heartbeats repeat what the ledger wants."""

    def __init__(self, client: Client, sessions: Sessions) -> None:
        """Takes the connection and this gateway's own sessions."""
        self._client = client
        self._sessions = sessions

    async def start(self) -> None:
        """Begins to pass on commands to this gateway's workers."""
        await self._client.subscribe(names.ALL_COMMANDS, cb=self._pass_on)

    async def to_attempt(self, job: v1.Job, command: v1.AttemptCommand.ValueType) -> None:
        """Tells the worker that runs the job's current attempt what to do with it."""
        attempt = job.attempts[-1]
        message = v1.CommandAttempt(job_id=job.id, attempt=attempt.number, command=command)
        await self.send(attempt.worker, v1.AttachResponse(command=message))

    async def send(self, worker: str, message: v1.AttachResponse) -> None:
        """Sends a command to a worker, wherever it is attached. Raises UnavailableError."""
        with broker_answers():
            await self._client.publish(names.command_subject(worker), message.SerializeToString())

    async def _pass_on(self, message: Msg) -> None:
        worker = message.subject.rsplit(".", 1)[-1]
        self._sessions.send(worker, v1.AttachResponse.FromString(message.data))
