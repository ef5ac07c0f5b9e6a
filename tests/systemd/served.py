"""Whether a mesh takes jobs."""

from __future__ import annotations

import mistudio

CALM = mistudio.RetryPolicy(attempts=1000, patience=120.0)
"""For clients whose gateway is killed."""


def all_served(client: mistudio.Client) -> bool:
    """Tells whether every queue has a worker."""
    return all(queue.workers for queue in client.queues.list())
