"""Bytes of a terminal as keys."""

from __future__ import annotations

UP, DOWN, PAGE_UP, PAGE_DOWN, HOME, END, ENTER, ESCAPE = (
    "up",
    "down",
    "page up",
    "page down",
    "home",
    "end",
    "enter",
    "esc",
)

_SEQUENCES = {
    b"[A": UP,
    b"[B": DOWN,
    b"OA": UP,
    b"OB": DOWN,
    b"[5~": PAGE_UP,
    b"[6~": PAGE_DOWN,
    b"[H": HOME,
    b"OH": HOME,
    b"[1~": HOME,
    b"[F": END,
    b"OF": END,
    b"[4~": END,
}
_CONTROLS = {0x0D: ENTER, 0x0A: ENTER}
_ESCAPE = 0x1B


class KeyDecoder:
    """Turns what is read into keys: letters as they are, arrows and the like by name."""

    def __init__(self) -> None:
        self._begun = b""

    @property
    def waits(self) -> bool:
        """Whether an escape has come that may be the key of this name or the beginning of another."""
        return bool(self._begun)

    def feed(self, data: bytes) -> list[str]:
        """Returns the keys that are complete."""
        data, self._begun = self._begun + data, b""
        keys: list[str] = []
        while data:
            if data[0] == _ESCAPE and (length := _length(data)) == 0:
                self._begun = data
                break
            length = _length(data) if data[0] == _ESCAPE else 1
            key = _key(data[:length])
            keys += [key] if key else []
            data = data[length:]
        return keys

    def give_up(self) -> list[str]:
        """Returns what was begun, when nothing has followed for a moment."""
        begun, self._begun = self._begun, b""
        return [ESCAPE] if begun == bytes([_ESCAPE]) else []


def _length(data: bytes) -> int:
    """Returns the length of the escape sequence at the beginning, 0 if its end is yet to come."""
    if data[1:2] not in (b"[", b"O"):
        return 0 if len(data) == 1 else 1
    for place, byte in enumerate(data[2:], start=3):
        if 0x40 <= byte <= 0x7E:  # noqa: PLR2004 - the final bytes of ECMA-48
            return place
    return 0


def _key(data: bytes) -> str:
    if data[0] == _ESCAPE:
        return ESCAPE if len(data) == 1 else _SEQUENCES.get(data[1:], "")
    if data[0] in _CONTROLS:
        return _CONTROLS[data[0]]
    return chr(data[0]) if 0x20 <= data[0] < 0x7F else ""  # noqa: PLR2004 - what ASCII can print
