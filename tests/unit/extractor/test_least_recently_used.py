"""What is kept and what is dropped."""

from __future__ import annotations

import pytest

from mistudio_extractor.least_recently_used import LeastRecentlyUsed


def test_the_thing_used_longest_ago_is_dropped() -> None:
    made: list[str] = []

    def make(key: str) -> str:
        made.append(key)
        return key.upper()

    kept: LeastRecentlyUsed[str] = LeastRecentlyUsed(2)
    for key in ("a", "b", "a", "c", "a", "b"):
        assert kept.get(key, lambda key=key: make(key)) == key.upper()
    assert made == ["a", "b", "c", "b"]


def test_a_failure_is_not_kept() -> None:
    kept: LeastRecentlyUsed[int] = LeastRecentlyUsed(1)
    with pytest.raises(ZeroDivisionError):
        kept.get("a", lambda: 1 // 0)
    assert kept.get("a", lambda: 1) == 1
