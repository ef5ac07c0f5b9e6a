"""What happens to a service's own child processes, in its log."""

from __future__ import annotations

from mistudio_runtime.processes.spec import ProcessListener
from mistudio_runtime.telemetry.logging import get_logger

_log = get_logger(__name__)


class LoggedEvents(ProcessListener):
    """Logs that a process ended or is started again; its lines stand in its own log."""

    def event(self, name: str, text: str) -> None:
        """Logs the sentence as a warning."""
        _log.warning(f"{name} {text}", process=name)
