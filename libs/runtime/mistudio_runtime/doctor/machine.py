"""All checks of this machine, in order."""

from __future__ import annotations

from mistudio_runtime.doctor import broker, broker_program, configuration, gpu, home, hub, port, services, stack
from mistudio_runtime.doctor.boundary import boundary
from mistudio_runtime.findings import Finding
from mistudio_runtime.findings.broker import CHECK as BROKER
from mistudio_runtime.host.disks import MODEL_CACHE
from mistudio_runtime.settings import Settings
from mistudio_runtime.stack.record import StackRecord, read_stack


async def check_machine() -> list[Finding]:
    """Returns what was found, at least one finding a check; what needs settings is left out if these are wrong.

    A check that crashes is a finding, and the others go on.
    """
    found: list[Finding] = []
    settings: Settings | None = None
    with boundary(configuration.CHECK, found):
        settings, of_settings = configuration.check_settings()
        found += of_settings
    with boundary(services.CHECK, found):
        found += services.check_services()
    if settings is not None:
        found += await _check_installation(settings)
    return [*found, *_check_surroundings()]


async def _check_installation(settings: Settings) -> list[Finding]:
    found: list[Finding] = []
    record: StackRecord | None = None
    of_stack: list[Finding] = []
    with boundary(stack.CHECK, of_stack):
        record = read_stack(settings.home)
        of_stack += stack.check_stack(record)
    with boundary(home.CHECK, found):
        found.append(home.check_home(settings.home))
    with boundary(broker_program.CHECK, found):
        found.append(broker_program.check_broker_program(settings))
    with boundary(BROKER, found):
        found += await broker.check_broker(settings, record)
    with boundary(port.CHECK, found):
        found.append(port.check_port(settings, record))
    return [*found, *of_stack]


def _check_surroundings() -> list[Finding]:
    found: list[Finding] = []
    with boundary(gpu.CHECK, found):
        found.append(gpu.check_gpu())
    with boundary(MODEL_CACHE, found):
        found.append(hub.check_model_cache())
    with boundary(hub.CHECK, found):
        found.append(hub.check_hub())
    return found
