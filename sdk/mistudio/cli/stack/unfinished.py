"""What the supervisor wrote about the jobs that its stop left to be done."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mistudio.cli.stack.home import home


@dataclass(frozen=True)
class Unfinished:
    """Jobs that are not over although the mesh has stopped."""

    requeued: tuple[tuple[str, str], ...]
    """Id and kind of those that ran when the stop came."""
    queued: int
    """Others that wait."""
    paused: int
    """Those that wait for a person."""

    @property
    def document(self) -> dict[str, Any]:
        """As JSON."""
        requeued = [{"id": job_id, "kind": kind} for job_id, kind in self.requeued]
        return {"requeued": requeued, "queued": self.queued, "paused": self.paused}


def read_unfinished(supervisor: int) -> Unfinished | None:
    """Returns what a supervisor, given by process id, left; None if it could not say."""
    try:
        document = json.loads((home() / "run" / "unfinished.json").read_text(encoding="utf-8"))
        if document["pid"] != supervisor:
            return None
        requeued = tuple((str(job["id"]), str(job["kind"])) for job in document["requeued"])
        return Unfinished(requeued, int(document["queued"]), int(document["paused"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
