"""Declarations: which service has which job kinds, and how each is run."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import grpc.aio

from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.jobs.context import JobContext
from mistudio_runtime.settings import Settings

RunJob = Callable[[Any, JobContext], list[str]]
"""Takes the kind's spec message and the context; returns the ids of the artifacts that it committed."""


@dataclass(frozen=True)
class Handler:
    """One job kind."""

    kind: str
    """The field of JobSpec, e.g. "train_sae"."""
    entry: str
    """Where its `run(spec, context)` is, "package.module:function"; imported only where it runs."""
    isolation: Literal["process", "inline"] = "process"
    """Heavy jobs run in a child process of their own; quick ones in a thread of the worker."""
    fitting: str = ""
    """Where its advice for a memory limit is, "package.module:function", without the science's imports: (spec, bytes
    used, bytes allowed) to the fields of the spec with values that would fit; empty if there is none to give."""

    def load(self) -> RunJob:
        """Imports and returns the function."""
        module, _, name = self.entry.partition(":")
        run: RunJob = getattr(importlib.import_module(module), name)
        return run


@dataclass(frozen=True)
class ServiceContext:
    """What a service's servicers may use."""

    settings: Settings
    store: ArtifactStore


@dataclass(frozen=True)
class Service:
    """A workload: its job kinds and the gRPC services that it answers."""

    name: str
    """As in the queue table, e.g. "ingest"."""
    handlers: tuple[Handler, ...]
    preload: tuple[str, ...] = ()
    """Modules that every child process needs; imported once in the forkserver. None of them may touch a GPU."""
    add_servicers: Callable[[grpc.aio.Server, ServiceContext], Sequence[str]] = field(default=lambda *_: ())
    """Registers the workload's query servicers; returns their full names, which the gateway then forwards."""
