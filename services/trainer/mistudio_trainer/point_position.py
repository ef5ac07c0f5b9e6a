"""Where a list of metric points goes on, whatever was measured meanwhile."""

from __future__ import annotations

import base64
import binascii
import json
from typing import NamedTuple

from mistudio.v1 import MetricPoint
from mistudio_runtime.errors import InvalidRequestError, Violation


class PointPosition(NamedTuple):
    """A point's place among those of its job: by step, then by SAE and metric; no two points share one."""

    step: int
    hook_point: str
    sae: str
    name: str

    @classmethod
    def of(cls, point: MetricPoint) -> PointPosition:
        """Returns the place of a point."""
        labels = point.labels
        return cls(point.step, labels.get("hook_point", ""), labels.get("sae", ""), point.name)

    def to_token(self) -> str:
        """Returns it as an opaque page token."""
        return base64.urlsafe_b64encode(json.dumps(self).encode()).decode()

    @classmethod
    def from_token(cls, token: str) -> PointPosition:
        """Reads a page token. Raises InvalidRequestError if it is none of ours."""
        try:
            step, hook_point, sae, name = json.loads(base64.urlsafe_b64decode(token.encode()))
            return cls(int(step), str(hook_point), str(sae), str(name))
        except (binascii.Error, ValueError, TypeError, OverflowError, RecursionError) as error:
            bad = Violation("page_token", "give the next_page_token of the answer before, or leave it empty")
            raise InvalidRequestError([bad]) from error
