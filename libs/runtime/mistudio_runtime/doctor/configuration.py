"""Whether the settings are valid."""

from __future__ import annotations

import os

from mistudio_runtime.findings import Finding, fine, problem
from mistudio_runtime.queues import QueueTableError, load_queues
from mistudio_runtime.schedules import ScheduleTableError, load_schedules
from mistudio_runtime.settings import Settings, SettingsError, settings_file

CHECK = "settings"


def check_settings() -> tuple[Settings | None, list[Finding]]:
    """Reads settings and queue table; returns the settings, or None with a finding for everything that is wrong."""
    try:
        settings = Settings.load()
    except SettingsError as error:
        return None, [_wrong(line) for line in str(error).splitlines()[1:]]
    try:
        load_schedules(load_queues(settings.queues_file), settings.schedules_file)
    except QueueTableError as error:
        return None, [problem(CHECK, _sentence(str(error)), "unset MISTUDIO_QUEUES_FILE")]
    except ScheduleTableError as error:
        first, *lines = str(error).splitlines()
        told = [f"{first} {line.strip()}" for line in lines] or [first]
        return None, [problem(CHECK, _sentence(one), "unset MISTUDIO_SCHEDULES_FILE") for one in told]
    chosen = sorted(name for name in os.environ if name.startswith("MISTUDIO_"))
    return settings, [fine(CHECK, f"The settings are valid ({', '.join(chosen) or 'no variable is set'}).")]


def _wrong(line: str) -> Finding:
    name, _, why = line.strip().partition(": ")
    variable = next((one for one in os.environ if one.startswith("MISTUDIO_") and name.startswith(one)), "")
    repair = f"unset {variable}" if variable else f"${{EDITOR:-vi}} {settings_file()}"
    return problem(CHECK, f"{name} is wrong: {why.rstrip('.')}.", repair)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."
