"""Specs of jobs: from one message a kind to what the wire takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from mistudio import v1
from mistudio.spans import Span, duration

Spec: TypeAlias = Message
"""One message of a job kind, e.g. `TrainSae`, or a `JobSpec` that holds one."""

_FIELDS: Sequence[FieldDescriptor] = v1.JobSpec.DESCRIPTOR.oneofs_by_name["kind"].fields

KINDS: Mapping[str, FieldDescriptor] = {field.name: field for field in _FIELDS}
"""Every job kind with its field of `JobSpec`."""

_KIND_OF_MESSAGE = {field.message_type.full_name: field.name for field in _FIELDS if field.message_type}


def kind_of(spec: Spec) -> str:
    """Returns the job kind of a spec, e.g. "train_sae". Raises TypeError if the message is no spec."""
    if isinstance(spec, v1.JobSpec):
        return spec.WhichOneof("kind") or ""
    kind = _KIND_OF_MESSAGE.get(spec.DESCRIPTOR.full_name)
    if kind is None:
        raise TypeError(f"{spec.DESCRIPTOR.name} is no job spec; take one of {', '.join(sorted(KINDS))}")
    return kind


def job_spec(spec: Spec) -> v1.JobSpec:
    """Returns the spec inside a `JobSpec`. Raises TypeError if the message is no spec."""
    if isinstance(spec, v1.JobSpec):
        return spec
    wrapped = v1.JobSpec()
    getattr(wrapped, kind_of(spec)).CopyFrom(spec)
    getattr(wrapped, kind_of(spec)).SetInParent()  # an empty spec still says its kind
    return wrapped


def job_request(
    spec: Spec,
    *,
    display_name: str = "",
    priority: int = 0,
    max_attempts: int = 0,
    depends_on: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    job_timeout: Span | None = None,
    start_within: Span | None = None,
) -> v1.JobRequest:
    """Returns what to run and how; lengths of time are seconds or timedeltas.

    `spec` may be a whole `JobRequest`, which the other arguments then add to. Raises TypeError if it is no spec.
    """
    request = v1.JobRequest()
    if isinstance(spec, v1.JobRequest):
        request.CopyFrom(spec)
    else:
        request.spec.CopyFrom(job_spec(spec))
    request.display_name = display_name or request.display_name
    request.priority = priority or request.priority
    request.max_attempts = max_attempts or request.max_attempts
    request.depends_on.extend(depends_on)
    request.labels.update(labels or {})
    for limit, span in ((request.timeout, job_timeout), (request.start_within, start_within)):
        if span is not None:
            limit.CopyFrom(duration(span))
            limit.SetInParent()  # a length of nothing is refused, not overlooked
    return request
