"""The version of the installed distribution."""

from importlib.metadata import version as installed


def version() -> str:
    """Returns the version, e.g. "0.1.0"."""
    return installed("mistudio")
