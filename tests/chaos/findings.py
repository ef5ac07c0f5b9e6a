"""What the auditor counts, and the sentences that say why."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Findings:
    """Each list holds a sentence for each breach of a promise."""

    lost: list[str] = field(default_factory=list)
    """Acknowledged jobs that are not there, or not over."""
    duplicated: list[str] = field(default_factory=list)
    """Jobs that ended twice, ran on after their end, or exist twice for one request."""
    half_artifacts: list[str] = field(default_factory=list)
    """Artifacts that are not what their manifest says, are missing, or are there twice."""
    stale_writes: list[str] = field(default_factory=list)
    """What a fenced attempt could still write."""
    leaks: list[str] = field(default_factory=list)
    """Processes, sockets, leases, messages and files that are left over."""
    other: list[str] = field(default_factory=list)
    """Progress that falls, illegal transitions, strange answers, wrong ends."""
    notes: list[str] = field(default_factory=list)
    """Worth knowing; no promise is broken."""

    def breaches(self) -> dict[str, list[str]]:
        """Returns the sentences of all breaches by what they count as."""
        kinds = ("lost", "duplicated", "half_artifacts", "stale_writes", "leaks", "other")
        return {kind: getattr(self, kind) for kind in kinds}

    def broken(self) -> list[str]:
        """Returns the sentences of all breaches, each with what it counts as."""
        return [f"{kind}: {sentence}" for kind, sentences in self.breaches().items() for sentence in sentences]
