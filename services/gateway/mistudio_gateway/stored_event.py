"""An event as the broker has it, made into an answer of WatchJob without being taken apart."""

from __future__ import annotations

from dataclasses import dataclass

from mistudio import v1
from mistudio_gateway.state_machine import is_terminal
from mistudio_runtime.broker import names

_KIND_OF_SUBJECT = {subject: kind for kind, subject in names.EVENT_SUBJECTS.items()}
_EVENT_TAG = bytes([v1.WatchJobResponse.EVENT_FIELD_NUMBER << 3 | 2])
_JOB_TAG = bytes([v1.JobEvent.JOB_FIELD_NUMBER << 3 | 2])
_SEQUENCE_TAG = bytes([v1.JobEvent.SEQUENCE_FIELD_NUMBER << 3])
_SEVEN_BITS = 0x7F
End = tuple[int, int]


def end_of(job: v1.Job) -> End | None:
    """Returns what tells this end of a job from another one, as a retried job has several; None if it is not over."""
    return (job.enqueue_count, job.end_time.ToNanoseconds()) if is_terminal(job) else None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event; all watchers share it."""

    sequence: int
    """Its position in the stream."""
    kind: str
    """What happened, as JobEvent names it."""
    response: bytes
    """A serialized WatchJobResponse."""
    job: v1.Job | None = None
    """The job after a change of its state."""

    @classmethod
    def of_message(cls, subject: str, data: bytes, sequence: int) -> StoredEvent:
        """Takes a message of the stream. Raises DecodeError."""
        kind = _KIND_OF_SUBJECT[subject.rpartition(".")[0]]
        job = None
        if kind == "job":
            event = v1.JobEvent.FromString(data)
            kind = event.WhichOneof("event") or kind  # of older gateways it may be anything
            job = event.job if kind == "job" else None
        return cls(sequence, kind, _response(data, sequence), job)


def as_job(data: bytes) -> bytes:
    """Returns a serialized Job as the field `job` of a JobEvent, to be put behind its other fields."""
    return _JOB_TAG + _varint(len(data)) + data


def response_of(event: v1.JobEvent) -> bytes:
    """Returns the answer that tells an event which is not stored."""
    return v1.WatchJobResponse(event=event).SerializeToString()


def _response(data: bytes, sequence: int) -> bytes:
    # A message may be continued behind its end: the stored event has no sequence yet, so one is appended.
    event = data + _SEQUENCE_TAG + _varint(sequence)
    return _EVENT_TAG + _varint(len(event)) + event


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > _SEVEN_BITS:
        digits.append(number & _SEVEN_BITS | _SEVEN_BITS + 1)
        number >>= 7
    digits.append(number)
    return bytes(digits)
