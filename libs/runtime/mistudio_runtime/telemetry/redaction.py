"""Keeps secrets out of what is logged."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

REDACTED = "[redacted]"
SECRET_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "MISTUDIO_TOKEN", "AWS_SECRET_ACCESS_KEY")
"""Environment variables whose values never appear, whatever key or text they come in."""
_SHORTEST_SECRET = 4
"""Shorter values would blank out ordinary words."""
_KEY = re.compile(
    r"(.*[_-])?(token|password|passwd|secret|authorization|api[_-]?key|credentials?|cookie)", re.IGNORECASE
)
_IN_URL = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_BEARER = re.compile(r"(?<=\bbearer )\S+", re.IGNORECASE)
_HUB_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{16,}\b")


class Redactor:
    """A structlog processor that replaces secrets in an event, however deep they lie."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Takes values that are secret beside those of the known environment variables."""
        known = {*secrets, *(os.environ.get(name, "") for name in SECRET_VARIABLES)}
        # Longest first: a secret may contain another.
        self._secrets = sorted((s for s in known if len(s) >= _SHORTEST_SECRET), key=len, reverse=True)

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Redacts the event in place of passing it on as it is."""
        return {key: self._entry(key, value) for key, value in event.items()}

    def text(self, text: str) -> str:
        """Returns a text without the secrets that it holds."""
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        for pattern in (_IN_URL, _BEARER, _HUB_TOKEN):
            text = pattern.sub(REDACTED, text)
        return text

    def _entry(self, key: Any, value: Any) -> Any:
        return REDACTED if value and isinstance(key, str) and _KEY.fullmatch(key) else self._value(value)

    def _value(self, value: Any) -> Any:
        match value:
            case None | bool() | int() | float():
                return value
            case str():
                return self.text(value)
            case Mapping():
                return {self.text(str(key)): self._entry(key, inner) for key, inner in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self._value(inner) for inner in value]
            case _:
                # A renderer would take its repr, past this point.
                return self.text(repr(value))
