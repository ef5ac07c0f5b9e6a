"""Which devices a job may take, who holds them, and when a lease is void. Pure: no clock, no broker."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from google.protobuf.message import DecodeError

from mistudio import v1
from mistudio_gateway.state_machine import ACTIVE, current_attempt
from mistudio_gateway.validation.references import body_of
from mistudio_gateway.worker_registry import free_slots
from mistudio_runtime.device_kinds import DEVICE_KINDS

_NO_KEY_CHARACTER = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True)
class Lease:
    """That an attempt may use a device, as the bucket holds it."""

    job_id: str
    attempt: int
    granted: bool
    """Whether the ledger has the attempt. Before that, the claim that took the lease may still fail."""

    def encode(self) -> bytes:
        """Returns the record."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, record: bytes) -> Lease:
        """Reads a record. Raises DecodeError."""
        try:
            found = json.loads(record)
            return cls(str(found["job_id"]), int(found["attempt"]), bool(found["granted"]))
        except (ValueError, TypeError, KeyError) as error:
            raise DecodeError("this is no lease") from error


def stands(lease: Lease, job: v1.Job | None) -> bool | None:
    """Tells whether a lease holds, given its job's record if there is one; None while its claim is under way."""
    if job is None or lease.attempt < current_attempt(job):
        return False
    if lease.attempt == current_attempt(job):
        return job.state in ACTIVE
    return True if lease.granted else None


def has_told(status: v1.WorkerStatus) -> bool:
    """Tells whether a worker has said yet which devices its host has."""
    return bool(status.host_status.disks)  # a sample has disks, always; the first may come after the first claim


def wanted_devices(job: v1.Job, status: v1.WorkerStatus) -> tuple[str, ...]:
    """Returns the devices that the job may take with this worker, any of them; none if it computes without."""
    if job.kind not in DEVICE_KINDS:
        return ()
    wanted, own = body_of(job.spec).device, status.worker.device
    if own and (not wanted or (wanted == "cuda" and own.startswith("cuda"))):
        wanted = own
    if wanted not in ("", "cuda"):
        return () if wanted == "cpu" else (wanted,)
    there = tuple(device.name for device in status.host_status.devices)
    if wanted:
        return there or ("cuda:0",)  # as torch numbers it, though nobody has told of it
    return () if status.host_status.device_problem else there


def device_key(status: v1.WorkerStatus, device: str) -> str:
    """Returns the key of a device: that of the hardware if it is known, which workers may number differently."""
    known = next((one.uuid for one in status.host_status.devices if one.name == device), "")
    return _token(known) if known else f"{_token(status.worker.host)}/{_token(device)}"


def waits_for_device(
    job: v1.Job, serving: Iterable[v1.WorkerStatus], alive: Iterable[v1.WorkerStatus], jobs_per_device: int
) -> str:
    """Returns the sentence that names the device which a queued job waits for and its holder; "" if it needs none.

    `serving` are the workers of its queue, `alive` all of them.
    """
    if job.state != v1.JOB_STATE_QUEUED or job.kind not in DEVICE_KINDS:
        return ""
    holders = _holders(alive)
    taken: dict[str, str] = {}
    for status in serving:
        if not free_slots(status, job.queue):
            continue
        devices = wanted_devices(job, status)
        full = [device for device in devices if len(holders.get(device_key(status, device), ())) >= jobs_per_device]
        if len(full) == len(devices):
            taken |= {f"{one} of host {status.worker.host}": _names(holders, status, one) for one in full}
        if len(full) < len(devices) or not devices:
            return ""
    return f"Waits for {' or '.join(f'{what}, held by {whom}' for what, whom in taken.items())}." if taken else ""


def _holders(alive: Iterable[v1.WorkerStatus]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for status in alive:
        for running in status.running:
            if running.device:
                found.setdefault(device_key(status, running.device), []).append(running.job_id)
    return found


def _names(holders: Mapping[str, list[str]], status: v1.WorkerStatus, device: str) -> str:
    return " and ".join(f"job {job_id}" for job_id in holders[device_key(status, device)])


def _token(text: str) -> str:
    return _NO_KEY_CHARACTER.sub(lambda odd: f"={ord(odd[0]):x}=", text) or "="
