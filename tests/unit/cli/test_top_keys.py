"""Bytes of a terminal as keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mistudio.cli.top.keys import KeyDecoder


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"q", ["q"]),
        (b"jk c?", ["j", "k", " ", "c", "?"]),
        (b"\r\n", ["enter", "enter"]),
        (b"\x1b[A\x1b[B\x1bOA", ["up", "down", "up"]),
        (b"\x1b[5~\x1b[6~\x1b[H\x1b[F", ["page up", "page down", "home", "end"]),
        (b"\x1b\x1b[A", ["esc", "up"]),
        (b"\x1bq", ["esc", "q"]),
        (b"\x1b[1;5Ax", ["x"]),  # Ctrl-Up means nothing here
        ("é\x7f\x00".encode(), []),
    ],
)
def test_keys(data: bytes, keys: list[str]) -> None:
    decoder = KeyDecoder()
    assert decoder.feed(data) == keys
    assert not decoder.waits


def test_an_escape_alone_is_known_when_nothing_follows() -> None:
    decoder = KeyDecoder()
    assert decoder.feed(b"j\x1b") == ["j"]
    assert decoder.waits
    assert decoder.give_up() == ["esc"]
    assert decoder.feed(b"\x1b") == []
    assert decoder.feed(b"[") == []
    assert decoder.feed(b"A") == ["up"]
    assert not decoder.waits
    decoder.feed(b"\x1b[")
    assert decoder.give_up() == []
    assert decoder.feed(b"q") == ["q"]


@given(st.lists(st.binary(max_size=6)))
def test_whatever_comes_is_taken(pieces: list[bytes]) -> None:
    decoder = KeyDecoder()
    for piece in pieces:
        decoder.feed(piece)
    decoder.give_up()
    assert decoder.feed(b"q") == ["q"]
