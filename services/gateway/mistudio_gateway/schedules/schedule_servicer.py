"""ScheduleService over a socket: convert, call, convert."""

from __future__ import annotations

from typing import Any

import grpc.aio

from mistudio import v1
from mistudio_gateway.jobs import Jobs
from mistudio_gateway.schedules.plan import Schedules

Context = grpc.aio.ServicerContext[Any, Any]


class ScheduleServicer(v1.ScheduleServiceServicer):
    """Tells about schedules and controls them."""

    def __init__(self, schedules: Schedules, jobs: Jobs) -> None:
        """Takes what the rpcs call."""
        self._schedules = schedules
        self._jobs = jobs

    async def ListSchedules(self, request: v1.ListSchedulesRequest, context: Context) -> v1.ListSchedulesResponse:
        """Lists schedules."""
        return v1.ListSchedulesResponse(schedules=await self._schedules.list())

    async def PauseSchedule(self, request: v1.PauseScheduleRequest, context: Context) -> v1.PauseScheduleResponse:
        """Pauses a schedule."""
        return v1.PauseScheduleResponse(schedule=await self._schedules.pause(request.schedule))

    async def ResumeSchedule(self, request: v1.ResumeScheduleRequest, context: Context) -> v1.ResumeScheduleResponse:
        """Resumes a schedule."""
        return v1.ResumeScheduleResponse(schedule=await self._schedules.resume(request.schedule))

    async def RunSchedule(self, request: v1.RunScheduleRequest, context: Context) -> v1.RunScheduleResponse:
        """Submits a schedule's job now."""
        job = await self._schedules.run(request.schedule, request.request_id)
        return v1.RunScheduleResponse(job=self._jobs.diagnosed(job))
