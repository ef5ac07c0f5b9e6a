"""The address that the gateway listens on, and who has it."""

from __future__ import annotations

import psutil

from mistudio_runtime.findings import Finding, fine, problem
from mistudio_runtime.serving.probe import probe
from mistudio_runtime.settings import Settings
from mistudio_runtime.stack.address import AddressError, fix_address, listener
from mistudio_runtime.stack.record import StackRecord

CHECK = "port"
_GATEWAY = "mistudio_gateway"
_ONLY_A_GATEWAY_HAS = "mistudio.v1.JobService"
_PROBE_SECONDS = 1.0


def check_port(settings: Settings, record: StackRecord | None) -> Finding:
    """Says who listens where the gateway of this home does, or would."""
    address = record.gateway if record else settings.listen
    port = address.rpartition(":")[2]
    owner = listener(int(port)) if port.isdecimal() and int(port) else None
    if owner is not None:
        return _owned(address, owner)
    try:
        fix_address(address)
    except AddressError as error:
        text = str(error)
        return problem(CHECK, f"{text[0].upper()}{text[1:].rstrip('.')}.", elsewhere(address))
    return fine(CHECK, f"{address} is free for a gateway.")


def elsewhere(address: str) -> str:
    """Returns the command that starts the mesh on another port."""
    return f"MISTUDIO_LISTEN={address.rpartition(':')[0]}:0 mistudio up --detach"


def _owned(address: str, owner: psutil.Process) -> Finding:
    try:
        name, arguments = owner.name(), " ".join(owner.cmdline())
    except psutil.Error:
        name, arguments = "another user's", ""
    if _GATEWAY in arguments:
        return fine(CHECK, f"{address} is the gateway's (process {owner.pid}).")
    if probe(address, _ONLY_A_GATEWAY_HAS, _PROBE_SECONDS)[0]:  # a container engine or a tunnel stands between
        return fine(CHECK, f"{address} leads to a gateway (through process {owner.pid}, {name}).")
    return problem(
        CHECK, f"{address} is taken by process {owner.pid} ({name}), which is no gateway.", elsewhere(address)
    )
