"""What a job says always fits into the mesh."""

from __future__ import annotations

import pytest

from mistudio_runtime.errors import InvalidRequestError, Violation
from mistudio_runtime.jobs.failures import PermanentFailure
from mistudio_runtime.jobs.text import MAX_CHARACTERS, carried
from mistudio_runtime.serving.status import clipped, trailing_details
from mistudio_runtime.worker.outcome import failure_of

METADATA_LIMIT = 8_192  # of gRPC clients


@pytest.mark.parametrize("text", ["plain", "x" * 5_000_000, "\udcff.txt cannot be read", "", "ü" * MAX_CHARACTERS])
def test_text_is_short_and_valid(text: str) -> None:
    told = carried(text)
    assert len(told.encode()) <= 4 * MAX_CHARACTERS
    assert told[:5].encode() == text[:5].encode("utf-8", "replace")


def test_a_failure_can_be_recorded_whatever_its_message_is() -> None:
    failure = failure_of(PermanentFailure("\udcff" + "x" * 5_000_000))
    assert failure.ByteSize() < 10_000


@pytest.mark.parametrize("size", [3, 4, 100])
def test_clipped_text_is_no_longer_than_allowed(size: int) -> None:
    assert len(clipped("ü€" * 100, size).encode()) <= size
    assert clipped("ab", size) == "ab"


def test_a_refusal_with_very_much_wrong_fits_into_the_answer() -> None:
    many = [Violation(f"job.depends_on[{index}]", "ü" * 900) for index in range(1_000)]
    (_, details) = trailing_details(InvalidRequestError(many))[0]
    percent_encoded = 3 * 1_000
    assert len(details) * 4 / 3 + percent_encoded < METADATA_LIMIT
