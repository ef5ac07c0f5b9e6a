"""The hub that models and datasets come from, and what can go wrong there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, cast

from huggingface_hub import HfApi
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from mistudio_runtime.jobs import PermanentFailure, TransientFailure
from mistudio_runtime.jobs.failures import JobFailure

_KNOWN: tuple[type[Exception], ...] = (HFValidationError, cast("type[Exception]", HfHubHTTPError.__bases__[0]), OSError)
"""Among them the base error of the HTTP library beneath, whichever the installed version of the hub's client uses."""
_DENIED = (401, 403)
_BUSY = (408, 425, 429)
_SERVER_ERROR = 500


def endpoint() -> str:
    """Returns the hub's URL: HF_ENDPOINT, or the public hub."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def token() -> str | Literal[False]:
    """Returns the token in HF_TOKEN, or False: a token that lies in a file of the service's user is never sent."""
    return os.environ.get("HF_TOKEN") or False


def hub_api() -> HfApi:
    """Returns a client of the hub with this service's own token."""
    return HfApi(endpoint=endpoint(), token=token())


@contextmanager
def hub_failures(what: str) -> Iterator[None]:
    """Turns errors of the hub's client into failures of a job that wants `what`, e.g. "model gpt2"."""
    try:
        yield
    except _KNOWN as error:
        raise _failure(error, what) from error


def _failure(error: Exception, what: str) -> JobFailure:
    if isinstance(error, HFValidationError):
        return PermanentFailure(f"{what} is no name of a repository; give owner/name", reason="HUB_NOT_FOUND")
    if isinstance(error, OfflineModeIsEnabled):
        return PermanentFailure(
            f"{what} cannot be downloaded because the ingest service runs with HF_HUB_OFFLINE; unset it, "
            "or give local files",
            reason="HUB_OFFLINE",
        )
    return _missing(error, what) or _http(error, what)


def _missing(error: Exception, what: str) -> JobFailure | None:
    if isinstance(error, GatedRepoError):
        return _denied(what)
    if isinstance(error, RevisionNotFoundError):
        return PermanentFailure(f"{what} has no such revision; give a branch, tag or commit", reason="HUB_NOT_FOUND")
    if isinstance(error, RepositoryNotFoundError):
        return PermanentFailure(
            f"{endpoint()} has no {what} that this service may see; check the name, or set HF_TOKEN if it is private",
            reason="HUB_NOT_FOUND",
        )
    if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
        return PermanentFailure(f"a file of {what} is gone from the hub; try another revision", reason="HUB_NOT_FOUND")
    return None


def _http(error: Exception, what: str) -> JobFailure:
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if status in _DENIED:
        return _denied(what)
    if status is not None and status < _SERVER_ERROR and status not in _BUSY:
        return PermanentFailure(f"{endpoint()} refuses {what} with status {status}", reason="HUB_REFUSED")
    why = f"status {status}" if status else type(error).__name__
    return TransientFailure(f"{what} could not be downloaded from {endpoint()} ({why})", reason="HUB_UNAVAILABLE")


def _denied(what: str) -> PermanentFailure:
    return PermanentFailure(
        f"the hub denies access to {what}; accept its terms there and start the ingest service with a valid HF_TOKEN",
        reason="HUB_DENIED",
    )
