"""Makes calls over a channel and waits for their answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, TypeVar

import grpc

from mistudio import channel, v1
from mistudio.calls import jobs, queues
from mistudio.calls.call import Call, Listing
from mistudio.retries import RetryPolicy, Trial
from mistudio.watching import METHOD, Watch

_Result = TypeVar("_Result")


class Transport:
    """A channel to one gateway, with deadlines and retries."""

    def __init__(
        self, address: str, timeout: float, policy: RetryPolicy, credentials: grpc.ChannelCredentials | None
    ) -> None:
        """Connects at the first call, not before."""
        self.address = address
        self._timeout = timeout
        self._policy = policy
        if credentials is None:
            self._channel = grpc.insecure_channel(address, channel.OPTIONS)
        else:
            self._channel = grpc.secure_channel(address, credentials, channel.OPTIONS)

    def call(self, call: Call[_Result]) -> _Result:
        """Makes a call. Raises MistudioError."""
        method: Any = self._channel.unary_unary(
            call.path, request_serializer=type(call.request).SerializeToString, response_deserializer=call.decode
        )
        trial = Trial(call, self.address, self._policy, self._timeout)
        while True:
            try:
                return call.read(method(call.request, timeout=trial.remaining()))
            except grpc.RpcError as error:
                time.sleep(trial.delay_after(error))

    def pages(self, listing: Listing[_Result]) -> Iterator[_Result]:
        """Reads page after page as the items are taken. Raises MistudioError."""
        items, token = self.call(listing.first)
        yield from items
        while token:
            items, token = self.call(listing.after(token))
            yield from items

    def watch(self, watch: Watch) -> Iterator[v1.JobEvent]:
        """Yields each event of a job once, opening the stream again when it breaks. Raises MistudioError."""
        while not watch.finished:
            failure: grpc.RpcError | None = None
            try:
                yield from self._stream(watch)
            except grpc.RpcError as error:
                failure = error
            time.sleep(watch.stream_ended(failure, self.address, self._policy))
            if watch.doubtful:
                watch.stored(self.call(jobs.get(watch.job_id)))

    def _stream(self, watch: Watch) -> Iterator[v1.JobEvent]:
        method: Any = self._channel.unary_stream(
            METHOD,
            request_serializer=v1.WatchJobRequest.SerializeToString,
            response_deserializer=v1.WatchJobResponse.FromString,
        )
        answers = method(watch.request(), timeout=watch.stream_timeout())
        try:
            for answer in answers:
                if watch.accept(answer.event):
                    yield answer.event
        finally:
            answers.cancel()  # a caller that stops iterating leaves no stream behind

    def ready(self, timeout: float) -> bool:
        """Waits until a gateway answers; False if none did within `timeout` seconds."""
        method: Any = self._channel.unary_unary(
            queues.list_().path, request_serializer=v1.ListQueuesRequest.SerializeToString
        )
        try:
            method(v1.ListQueuesRequest(), timeout=timeout, wait_for_ready=True)
        except grpc.RpcError:
            return False
        return True

    def close(self) -> None:
        """Closes the channel; streams that are open end."""
        self._channel.close()
