"""All checks of this machine, in order."""

from __future__ import annotations

from mistudio_runtime.doctor.broker import check_broker
from mistudio_runtime.doctor.broker_program import check_broker_program
from mistudio_runtime.doctor.configuration import check_settings
from mistudio_runtime.doctor.gpu import check_gpu
from mistudio_runtime.doctor.home import check_home
from mistudio_runtime.doctor.hub import check_hub, check_model_cache
from mistudio_runtime.doctor.port import check_port
from mistudio_runtime.doctor.services import check_services
from mistudio_runtime.doctor.stack import check_stack
from mistudio_runtime.findings import Finding
from mistudio_runtime.settings import Settings
from mistudio_runtime.stack.record import read_stack


async def check_machine() -> list[Finding]:
    """Returns what was found, at least one finding a check; what needs settings is left out if these are wrong."""
    settings, found = check_settings()
    found += check_services()
    if settings is not None:
        found += await _check_installation(settings)
    return [*found, check_gpu(), check_model_cache(), check_hub()]


async def _check_installation(settings: Settings) -> list[Finding]:
    record = read_stack(settings.home)
    return [
        check_home(settings.home),
        check_broker_program(settings),
        *await check_broker(settings, record),
        check_port(settings, record),
        *check_stack(record),
    ]
