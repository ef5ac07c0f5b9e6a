"""Every name that the mesh uses in the broker."""

import re

from mistudio_runtime.queues import PRIORITIES

JOBS_STREAM = "JOBS"
EVENTS_STREAM = "EVENTS"
LEDGER_BUCKET = "mistudio_jobs"
WORKERS_BUCKET = "mistudio_workers"
SCHEDULES_STREAM = "SCHEDULES"
SCHEDULES_BUCKET = "mistudio_schedules"

ALL_JOBS = "mistudio.jobs.>"
ALL_COMMANDS = "mistudio.command.*"

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
ENQUEUE_COUNT = "Mistudio-Enqueue-Count"

WORKER_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}(@[A-Za-z0-9_-]{1,128})?")
"""A worker's name is a key of its bucket and a token of a subject."""


PROBE = "doctor"
"""A key and a token of subjects that no job, queue or worker has: checks may ask about it."""


def bucket_stream(bucket: str) -> str:
    """Returns the stream under a bucket."""
    return f"KV_{bucket}"


def job_subject(queue: str, priority: int, job_id: str) -> str:
    """Returns the subject of a job's message. The job's id in it lets one message be found, counted and purged."""
    return f"mistudio.jobs.{queue}.{priority}.{job_id}"


def queue_filter(queue: str, priority: int) -> str:
    """Returns the filter of the consumer of one queue and priority."""
    return f"mistudio.jobs.{queue}.{priority}.*"


def job_of_subject(subject: str) -> str:
    """Returns the job's id from the subject of its message or event."""
    return subject.rsplit(".", 1)[-1]


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
