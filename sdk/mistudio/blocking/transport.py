"""Makes calls over a channel and waits for their answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import grpc

from mistudio import v1
from mistudio.calls import jobs, queues
from mistudio.calls.call import Call, Listing
from mistudio.gateways import CONNECT_SECONDS, DECIDED, Gateways
from mistudio.retries import RetryPolicy, Trial
from mistudio.watching import METHOD, Watch

_Result = TypeVar("_Result")


class Transport:
    """A channel to a gateway, with deadlines and retries; to another one when that stops answering."""

    def __init__(
        self, address: str, timeout: float, policy: RetryPolicy, credentials: grpc.ChannelCredentials | None
    ) -> None:
        """Connects at the first call, not before."""
        self.address = address
        self._timeout = timeout
        self._policy = policy
        self._credentials = credentials
        self._gateways = Gateways(address)
        self._channels: dict[str, grpc.Channel] = {}
        self._opening = threading.Lock()

    def _channel(self, address: str) -> grpc.Channel:
        with self._opening:
            if address not in self._channels:
                options = self._gateways.options
                self._channels[address] = (
                    grpc.insecure_channel(address, options)
                    if self._credentials is None
                    else grpc.secure_channel(address, self._credentials, options)
                )
            return self._channels[address]

    def _reachable(self, within: float) -> str:
        """Returns a gateway that takes connections, if one does; else any."""
        for _ in range(len(self._gateways)):
            address = self._gateways.current
            if _connects(self._channel(address), min(within, CONNECT_SECONDS)):
                return address
            self._gateways.leave(address)
        return self._gateways.current

    def call(self, call: Call[_Result]) -> _Result:
        """Makes a call. Raises MistudioError."""
        trial = Trial(call, self.address, self._policy, self._timeout)
        while True:
            # What may be sent only once is not spent on a gateway that is not there.
            look = len(self._gateways) > 1 and not call.repeatable
            address = self._reachable(trial.remaining()) if look else self._gateways.current
            method: Any = self._channel(address).unary_unary(
                call.path, request_serializer=type(call.request).SerializeToString, response_deserializer=call.decode
            )
            try:
                return call.read(method(call.request, timeout=trial.remaining()))
            except grpc.RpcError as error:
                self._gateways.note(address, error)
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
            address = self._gateways.current
            try:
                yield from self._stream(watch, address)
            except grpc.RpcError as error:
                failure = error
                self._gateways.note(address, error)
            time.sleep(watch.stream_ended(failure, self.address, self._policy))
            if watch.doubtful:
                watch.stored(self.call(jobs.get(watch.job_id)))

    def _stream(self, watch: Watch, address: str) -> Iterator[v1.JobEvent]:
        method: Any = self._channel(address).unary_stream(
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
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            address = self._gateways.current
            method: Any = self._channel(address).unary_unary(
                queues.list_().path, request_serializer=v1.ListQueuesRequest.SerializeToString
            )
            patience = left if len(self._gateways) == 1 else min(left, CONNECT_SECONDS)
            try:
                method(v1.ListQueuesRequest(), timeout=patience, wait_for_ready=True)
            except grpc.RpcError:
                self._gateways.leave(address)
            else:
                return True
        return False

    def close(self) -> None:
        """Closes all channels; streams that are open end."""
        with self._opening:
            for one in self._channels.values():
                one.close()


def _connects(channel: grpc.Channel, within: float) -> bool:
    """Tells whether a channel gets its connection within so many seconds."""
    states: SimpleQueue[grpc.ChannelConnectivity] = SimpleQueue()
    hear = states.put
    channel.subscribe(hear, try_to_connect=True)
    deadline = time.monotonic() + within
    try:
        while (state := states.get(timeout=max(0.0, deadline - time.monotonic()))) not in DECIDED:
            pass
    except Empty:
        return False
    else:
        return state is grpc.ChannelConnectivity.READY
    finally:
        channel.unsubscribe(hear)
