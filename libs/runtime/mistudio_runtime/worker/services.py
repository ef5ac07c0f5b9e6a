"""Finds the services that are installed and checks them against the queue table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import entry_points

from mistudio import v1
from mistudio_runtime.jobs import Handler, Service
from mistudio_runtime.queues import QueueTable

ENTRY_POINT_GROUP = "mistudio.services"


class ServiceError(Exception):
    """A service is not installed, or does not fit the queue table."""


def load_services(names: Sequence[str], table: QueueTable) -> list[Service]:
    """Imports services by entry point. Raises ServiceError."""
    installed = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if missing := [name for name in names if name not in installed]:
        raise ServiceError(f"{', '.join(missing)} is not installed: pip install 'mistudio[{','.join(missing)}]'")
    services: list[Service] = [installed[name].load() for name in names]
    check_services(services, table)
    return services


def check_services(services: Iterable[Service], table: QueueTable) -> None:
    """Checks that every handler has a queue, and every queue of these services a handler. Raises ServiceError."""
    known = {field.name for field in v1.JobSpec.DESCRIPTOR.fields}
    for service in services:
        rows = table.queues_of(service.name)
        routed = {kind for row in rows for kind in row.job_kinds}
        handled = {handler.kind for handler in service.handlers}
        if stray := sorted(handled - routed):
            raise ServiceError(f"{service.name} has a handler for {', '.join(stray)}, which no queue of it names")
        if unknown := sorted(routed - known):
            raise ServiceError(f"the queue table names {', '.join(unknown)}, which is no job kind of the contract")
        if empty := [row.name for row in rows if not handled & set(row.job_kinds)]:
            raise ServiceError(f"{service.name} has no handler for any job of the queue {', '.join(empty)}")


def handlers_by_kind(services: Iterable[Service]) -> dict[str, Handler]:
    """Returns all handlers, by job kind."""
    return {handler.kind: handler for service in services for handler in service.handlers}
