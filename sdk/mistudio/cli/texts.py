"""Texts as arguments."""

from __future__ import annotations

import sys


def text_or_stdin(text: str) -> str:
    """Returns the text, or what the standard input holds if it is "-"."""
    return sys.stdin.read() if text == "-" else text
