"""Calls of ScheduleService."""

from __future__ import annotations

from collections.abc import Sequence

from mistudio import v1
from mistudio.calls.call import Call, request_id_or_new, unary


def list_(*, timeout: float | None = None) -> Call[Sequence[v1.Schedule]]:
    """Returns the schedules of the table: when each submits next, and how its last time went.

    Raises FailedPreconditionError if the broker cannot hold schedules.
    """
    request = v1.ListSchedulesRequest()
    answer = v1.ListSchedulesResponse
    return unary(
        "ScheduleService/ListSchedules", request, answer, lambda a: a.schedules, timeout=timeout, repeatable=True
    )


def pause(schedule: str, *, timeout: float | None = None) -> Call[v1.Schedule]:
    """Stops a schedule until it is resumed. Raises NotFoundError if there is none of this name."""
    request = v1.PauseScheduleRequest(schedule=schedule)
    answer = v1.PauseScheduleResponse
    return unary(
        "ScheduleService/PauseSchedule", request, answer, lambda a: a.schedule, timeout=timeout, repeatable=True
    )


def resume(schedule: str, *, timeout: float | None = None) -> Call[v1.Schedule]:
    """Lets a paused schedule go on with its next time; what it missed is not made up for.

    Raises NotFoundError if there is none of this name.
    """
    request = v1.ResumeScheduleRequest(schedule=schedule)
    answer = v1.ResumeScheduleResponse
    return unary(
        "ScheduleService/ResumeSchedule", request, answer, lambda a: a.schedule, timeout=timeout, repeatable=True
    )


def run(schedule: str, *, request_id: str = "", timeout: float | None = None) -> Call[v1.Job]:
    """Submits a schedule's job now, paused or not, and returns its handle; its times stay as they are.

    The same `request_id` answers with the same job. Raises NotFoundError if there is no schedule of this name, and
    what submitting a job raises.
    """
    request = v1.RunScheduleRequest(schedule=schedule, request_id=request_id_or_new(request_id))
    answer = v1.RunScheduleResponse
    return unary("ScheduleService/RunSchedule", request, answer, lambda a: a.job, timeout=timeout, repeatable=True)
