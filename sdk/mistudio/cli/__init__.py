"""The `mistudio` command, on the SDK."""

from mistudio.cli.main import main

__all__ = ["main"]
