"""Where a list goes on: after the last artifact that was shown, whatever was committed or deleted meanwhile."""

from __future__ import annotations

import base64
import binascii
import json
from typing import NamedTuple

from mistudio_runtime.errors import InvalidRequestError, Violation


class Position(NamedTuple):
    """A place in a list by age; a larger one is newer."""

    create_time: float
    """Seconds since the epoch, UTC."""
    artifact_id: str

    def to_token(self) -> str:
        """Returns it as an opaque page token."""
        return base64.urlsafe_b64encode(json.dumps(self).encode()).decode()

    @classmethod
    def from_token(cls, token: str) -> Position:
        """Reads a page token. Raises InvalidRequestError if it is none of ours."""
        try:
            create_time, artifact_id = json.loads(base64.urlsafe_b64decode(token.encode()))
            return cls(float(create_time), str(artifact_id))
        except (binascii.Error, ValueError, TypeError, OverflowError, RecursionError) as error:
            bad = Violation("page_token", "give the next_page_token of the answer before, or leave it empty")
            raise InvalidRequestError([bad]) from error
