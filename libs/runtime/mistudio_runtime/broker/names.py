"""Every name that the mesh uses in the broker."""

import re
from collections.abc import Iterable

from mistudio_runtime.queues import PRIORITIES

JOBS_STREAM = "JOBS"
EVENTS_STREAM = "EVENTS"
LEDGER_BUCKET = "mistudio_jobs"
WORKERS_BUCKET = "mistudio_workers"
QUEUES_BUCKET = "mistudio_queues"
PAUSES_KEY = "paused"
"""The one record of that bucket: one read tells of all queues, as they are at one moment."""
SCHEDULES_STREAM = "SCHEDULES"
SCHEDULES_BUCKET = "mistudio_schedules"
LEASES_BUCKET = "mistudio_leases"

ALL_JOBS = "mistudio.jobs.>"
PAUSES_CHANGED = "mistudio.pauses"
LEDGER_NUDGE = "mistudio.ledger"
"""Where gateways tell each other that they have changed the ledger; says who."""
ALL_COMMANDS = "mistudio.command.*"

_PRIORITY = re.compile(rb"10|[1-9]")
EVENT_SUBJECTS = {
    "job": "mistudio.events",
    "progress": "mistudio.progress",
    "metric": "mistudio.metrics",
    "log": "mistudio.logs",
}
"""Under what each event of JobEvent is stored. One kind cannot push out another: limits are those of a subject."""
ALL_EVENTS = "mistudio.*.*"
"""The filter of all events, in their stream."""

MESSAGE_ID = "Nats-Msg-Id"
MESSAGE_TTL = "Nats-TTL"
EXPECTED_REVISION = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_REVISION_OF = "Nats-Expected-Last-Subject-Sequence-Subject"
ENQUEUE_COUNT = "Mistudio-Enqueue-Count"

WORKER_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}(@[A-Za-z0-9_-]{1,128})?")
"""A worker's name is a key of its bucket and a token of a subject."""


PROBE = "doctor"
"""A key and a token of subjects that no job, queue or worker has: checks may ask about it."""


def bucket_stream(bucket: str) -> str:
    """Returns the stream under a bucket."""
    return f"KV_{bucket}"


def bucket_subject(bucket: str, key: str) -> str:
    """Returns the subject of a key in the stream under a bucket."""
    return f"$KV.{bucket}.{key}"


def ledger_subject(job_id: str) -> str:
    """Returns the subject of a job's record in the stream under the ledger's bucket."""
    return bucket_subject(LEDGER_BUCKET, job_id)


def job_subject(queue: str, priority: int, job_id: str) -> str:
    """Returns the subject of a job's message. The job's id in it lets one message be found, counted and purged."""
    return f"mistudio.jobs.{queue}.{priority}.{job_id}"


def queue_filter(queue: str, priority: int) -> str:
    """Returns the filter of the consumer of one queue and priority."""
    return f"mistudio.jobs.{queue}.{priority}.*"


def job_of_subject(subject: str) -> str:
    """Returns the job's id from the subject of its message or event."""
    return subject.rsplit(".", 1)[-1]


def queue_of_job(subject: str) -> str:
    """Returns the queue from the subject of a job's message."""
    return subject.split(".", 3)[2]


def consumer(queue: str, priority: int) -> str:
    """Returns the durable name of the consumer of one queue and priority."""
    return f"{queue}-p{priority}"


def consumers(queue: str) -> list[str]:
    """Returns the durable names of a queue's consumers, first priority first."""
    return [consumer(queue, priority) for priority in reversed(PRIORITIES)]


def event_subject(job_id: str, event: str = "job") -> str:
    """Returns the subject of a job's events of one kind, as JobEvent names it; once all were stored under "job"."""
    return f"{EVENT_SUBJECTS[event]}.{job_id}"


def events_filter(job_id: str) -> str:
    """Returns the filter of all events of a job in their stream."""
    return f"mistudio.*.{job_id}"


def wake_subject(queue: str) -> str:
    """Returns where gateways tell workers that a queue has a new message."""
    return f"mistudio.wake.{queue}"


def queue_of_wake(subject: str) -> str:
    """Returns the queue from the subject of a wake-up."""
    return subject.rsplit(".", 1)[-1]


def wake_payload(priorities: Iterable[int]) -> bytes:
    """Returns what a wake-up says: the priorities that have new messages; none named means any."""
    return ",".join(map(str, sorted(set(priorities)))).encode()


def priorities_of_wake(payload: bytes) -> list[int]:
    """Returns the priorities of a wake-up; a stranger's payload names none."""
    return [int(priority) for priority in payload.split(b",") if _PRIORITY.fullmatch(priority)]


def command_subject(worker: str) -> str:
    """Returns where gateways tell each other a command for a worker; worker names hold no dots."""
    return f"mistudio.command.{worker}"


def armed_subject(schedule: str) -> str:
    """Returns where the broker holds a schedule's next message until its time."""
    return f"mistudio.schedules.{schedule}"


def due_subject(schedule: str) -> str:
    """Returns where the broker puts a schedule's message at its time."""
    return f"mistudio.due.{schedule}"


def schedule_of_subject(subject: str) -> str:
    """Returns the schedule from the subject of its message, armed or due."""
    return subject.rsplit(".", 1)[-1]
