"""Text that comes with the product."""

from __future__ import annotations

from collections.abc import Iterator
from pydoc_data import topics

import pyarrow as pa

from mistudio_ingest.batch import Batch
from mistudio_runtime.jobs import PermanentFailure

PYTHON_TOPICS = "python-topics"


def read_bundled(name: str) -> Iterator[Batch]:
    """Yields the rows (topic, text) of CPython's own documentation topics, about half a megabyte.

    Raises PermanentFailure if there is no bundled text of this name.
    """
    if name != PYTHON_TOPICS:
        raise PermanentFailure(f"there is no bundled dataset {name!r}; choose {PYTHON_TOPICS!r}")
    rows = sorted(topics.topics.items())
    table = pa.table({"topic": [topic for topic, _ in rows], "text": [text for _, text in rows]})
    yield Batch(table, name, len(rows), len(rows), "rows")
