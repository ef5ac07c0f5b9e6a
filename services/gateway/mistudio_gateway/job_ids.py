"""Identifiers of jobs and pipelines."""

from __future__ import annotations

import hashlib
import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case
_TIME_DIGITS = 9
_RANDOM_DIGITS = 7


def job_id(request_id: str = "") -> str:
    """Returns a new id; the same `request_id` gives the same id, which is what makes a repeated call harmless."""
    return f"job-{_token(request_id)}"


def step_job_id(request_id: str, step: str) -> str:
    """Returns the id of a pipeline's step; the same arguments give the same id unless `request_id` is empty."""
    return job_id(request_id and f"step {step} of pipeline {request_id}")


def pipeline_id(request_id: str = "") -> str:
    """Returns a new pipeline id; the same `request_id` gives the same id."""
    return f"pipeline-{_token(f'pipeline {request_id}' if request_id else '')}"


def _token(request_id: str) -> str:
    digits = _TIME_DIGITS + _RANDOM_DIGITS
    if request_id:
        return _encode(int.from_bytes(hashlib.sha256(request_id.encode()).digest()), digits)
    milliseconds = _encode(time.time_ns() // 1_000_000, _TIME_DIGITS)
    return milliseconds + _encode(secrets.randbits(5 * _RANDOM_DIGITS), _RANDOM_DIGITS)


def _encode(number: int, digits: int) -> str:
    return "".join(_ALPHABET[(number >> (5 * place)) & 31] for place in reversed(range(digits)))
