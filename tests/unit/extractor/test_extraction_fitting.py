"""Advice for an extraction job that took too much memory."""

from __future__ import annotations

import pytest

from mistudio import v1
from mistudio_extractor.fitting import BASE_BYTES, HEADROOM, fitting, row_bytes

GB = 10**9


@pytest.mark.parametrize("used", [int(2.01 * GB), 3 * GB, 20 * GB])
def test_the_table_shrinks_by_what_there_is_room_for(used: int) -> None:
    spec = v1.ExtractFeatures(top_examples=1000, context_tokens=512)
    found = fitting(spec, used, 2 * GB)
    after = row_bytes(int(str(found.get("top_examples", 1000))), int(str(found.get("context_tokens", 512))), 64)
    share = after / row_bytes(1000, 512, 64)
    assert BASE_BYTES + share * (used - BASE_BYTES) <= HEADROOM * 2 * GB
    assert share > 0.2 * (HEADROOM * 2 * GB - BASE_BYTES) / (used - BASE_BYTES)


def test_a_spec_that_says_nothing_is_judged_by_what_it_takes() -> None:
    assert fitting(v1.ExtractFeatures(), int(2.2 * GB), 2 * GB) == {"top_examples": 10}


@pytest.mark.parametrize("limit", [BASE_BYTES // 2, GB // 2])
def test_there_is_no_advice_when_nothing_would_fit(limit: int) -> None:
    assert fitting(v1.ExtractFeatures(), 20 * GB, limit) == {}
