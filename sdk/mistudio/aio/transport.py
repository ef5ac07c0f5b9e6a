"""Makes calls over a channel and awaits their answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, TypeVar

import grpc
import grpc.aio

from mistudio import v1
from mistudio.calls import jobs, queues
from mistudio.calls.call import Call, Listing
from mistudio.gateways import CONNECT_SECONDS, DECIDED, Gateways
from mistudio.retries import RetryPolicy, Trial
from mistudio.watching import METHOD, Watch

_Result = TypeVar("_Result")


class AsyncTransport:
    """A channel to a gateway, with deadlines and retries; to another one when that stops answering."""

    def __init__(
        self, address: str, timeout: float, policy: RetryPolicy, credentials: grpc.ChannelCredentials | None
    ) -> None:
        """Connects at the first call, not before: a channel belongs to the event loop that runs then."""
        self.address = address
        self._timeout = timeout
        self._policy = policy
        self._credentials = credentials
        self._gateways = Gateways(address)
        self._channels: dict[str, grpc.aio.Channel] = {}

    def _channel(self, address: str) -> grpc.aio.Channel:
        if address not in self._channels:
            options = self._gateways.options
            self._channels[address] = (
                grpc.aio.insecure_channel(address, options)
                if self._credentials is None
                else grpc.aio.secure_channel(address, self._credentials, options)
            )
        return self._channels[address]

    async def _reachable(self, within: float) -> str:
        """Returns a gateway that takes connections, if one does; else any."""
        for _ in range(len(self._gateways)):
            address = self._gateways.current
            if await _connects(self._channel(address), min(within, CONNECT_SECONDS)):
                return address
            self._gateways.leave(address)
        return self._gateways.current

    async def call(self, call: Call[_Result]) -> _Result:
        """Makes a call. Raises MistudioError."""
        trial = Trial(call, self.address, self._policy, self._timeout)
        while True:
            # What may be sent only once is not spent on a gateway that is not there.
            look = len(self._gateways) > 1 and not call.repeatable
            address = await self._reachable(trial.remaining()) if look else self._gateways.current
            method: Any = self._channel(address).unary_unary(
                call.path, request_serializer=type(call.request).SerializeToString, response_deserializer=call.decode
            )
            try:
                return call.read(await method(call.request, timeout=trial.remaining()))
            except grpc.RpcError as error:
                self._gateways.note(address, error)
                await asyncio.sleep(trial.delay_after(error))

    async def pages(self, listing: Listing[_Result]) -> AsyncIterator[_Result]:
        """Reads page after page as the items are taken. Raises MistudioError."""
        items, token = await self.call(listing.first)
        while True:
            for item in items:
                yield item
            if not token:
                return
            items, token = await self.call(listing.after(token))

    async def watch(self, watch: Watch) -> AsyncGenerator[v1.JobEvent, None]:
        """Yields each event of a job once, opening the stream again when it breaks. Raises MistudioError."""
        while not watch.finished:
            failure: grpc.RpcError | None = None
            address = self._gateways.current
            try:
                async for event in self._stream(watch, address):
                    yield event
            except grpc.RpcError as error:
                failure = error
                self._gateways.note(address, error)
            await asyncio.sleep(watch.stream_ended(failure, self.address, self._policy))
            if watch.doubtful:
                watch.stored(await self.call(jobs.get(watch.job_id)))

    async def _stream(self, watch: Watch, address: str) -> AsyncGenerator[v1.JobEvent, None]:
        method: Any = self._channel(address).unary_stream(
            METHOD,
            request_serializer=v1.WatchJobRequest.SerializeToString,
            response_deserializer=v1.WatchJobResponse.FromString,
        )
        answers = method(watch.request(), timeout=watch.stream_timeout())
        try:
            async for answer in answers:
                if watch.accept(answer.event):
                    yield answer.event
        finally:
            answers.cancel()  # a caller that stops iterating leaves no stream behind

    async def ready(self, timeout: float) -> bool:  # noqa: ASYNC109 - gRPC keeps it
        """Waits until a gateway answers; False if none did within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            address = self._gateways.current
            method: Any = self._channel(address).unary_unary(
                queues.list_().path, request_serializer=v1.ListQueuesRequest.SerializeToString
            )
            patience = left if len(self._gateways) == 1 else min(left, CONNECT_SECONDS)
            try:
                await method(v1.ListQueuesRequest(), timeout=patience, wait_for_ready=True)
            except grpc.RpcError:
                self._gateways.leave(address)
            else:
                return True
        return False

    async def close(self) -> None:
        """Closes all channels; streams that are open end."""
        await asyncio.gather(*(one.close() for one in self._channels.values()))


async def _connects(channel: grpc.aio.Channel, within: float) -> bool:
    """Tells whether a channel gets its connection within so many seconds."""
    try:
        async with asyncio.timeout(within):
            while (state := channel.get_state(try_to_connect=True)) not in DECIDED:
                await channel.wait_for_state_change(state)
    except TimeoutError:
        return False
    return state is grpc.ChannelConnectivity.READY
