"""Makes calls over a channel and awaits their answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from functools import cached_property
from typing import Any, TypeVar

import grpc
import grpc.aio

from mistudio import channel, v1
from mistudio.calls import jobs, queues
from mistudio.calls.call import Call, Listing
from mistudio.retries import RetryPolicy, Trial
from mistudio.watching import METHOD, Watch

_Result = TypeVar("_Result")


class AsyncTransport:
    """A channel to one gateway, with deadlines and retries."""

    def __init__(
        self, address: str, timeout: float, policy: RetryPolicy, credentials: grpc.ChannelCredentials | None
    ) -> None:
        """Connects at the first call, not before: a channel belongs to the event loop that runs then."""
        self.address = address
        self._timeout = timeout
        self._policy = policy
        self._credentials = credentials

    @cached_property
    def _channel(self) -> grpc.aio.Channel:
        if self._credentials is None:
            return grpc.aio.insecure_channel(self.address, channel.OPTIONS)
        return grpc.aio.secure_channel(self.address, self._credentials, channel.OPTIONS)

    async def call(self, call: Call[_Result]) -> _Result:
        """Makes a call. Raises MistudioError."""
        method: Any = self._channel.unary_unary(
            call.path, request_serializer=type(call.request).SerializeToString, response_deserializer=call.decode
        )
        trial = Trial(call, self.address, self._policy, self._timeout)
        while True:
            try:
                return call.read(await method(call.request, timeout=trial.remaining()))
            except grpc.RpcError as error:
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
            try:
                async for event in self._stream(watch):
                    yield event
            except grpc.RpcError as error:
                failure = error
            await asyncio.sleep(watch.stream_ended(failure, self.address, self._policy))
            if watch.doubtful:
                watch.stored(await self.call(jobs.get(watch.job_id)))

    async def _stream(self, watch: Watch) -> AsyncGenerator[v1.JobEvent, None]:
        method: Any = self._channel.unary_stream(
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
        method: Any = self._channel.unary_unary(
            queues.list_().path, request_serializer=v1.ListQueuesRequest.SerializeToString
        )
        try:
            await method(v1.ListQueuesRequest(), timeout=timeout, wait_for_ready=True)
        except grpc.RpcError:
            return False
        return True

    async def close(self) -> None:
        """Closes the channel; streams that are open end."""
        await self._channel.close()
