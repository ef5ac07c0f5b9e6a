"""What is known of a broker."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class StreamFacts:
    """One stream."""

    name: str
    missing: bool = False
    differences: list[str] = field(default_factory=list)
    """What is configured otherwise than wanted, each as "max_age is 15, not 30"."""
    refusal: str = ""
    """Why it stores nothing more, e.g. "no space left on device"; empty if it does, or was not asked."""
    behind: list[str] = field(default_factory=list)
    """Servers of a cluster that are gone, or have not yet caught up with the one that leads it."""


@dataclass
class BrokerFacts:
    """One broker, as a client of it sees it."""

    address: str
    """Host and port, without credentials."""
    connected: bool = False
    round_trip: float | None = None
    """Seconds; None if it does not answer."""
    version: tuple[int, int, int] = (0, 0, 0)
    jetstream: bool = False
    led: bool = True
    """Whether enough servers of a cluster are there to agree on anything."""
    used_bytes: int = 0
    """That its streams take of the disk."""
    limit_bytes: int = 0
    """That they may take; 0 if the broker says of none."""
    clock_offset: float | None = None
    """Seconds that its clock is ahead of ours."""
    streams: list[StreamFacts] = field(default_factory=list)
    consumers: StreamFacts | None = None
    """All consumers of JOBS taken together; None if they were not looked at."""
    messages: dict[str, int] = field(default_factory=dict)
    """Messages that each consumer has not seen acknowledged, by its name."""

    @property
    def answers(self) -> bool:
        """Whether it can be asked anything."""
        return self.connected and self.round_trip is not None

    @property
    def usable(self) -> bool:
        """Whether it has streams that can be asked about."""
        return self.answers and self.jetstream

    @property
    def behind(self) -> list[str]:
        """The servers of a cluster that lack what others hold."""
        return sorted({server for stream in self.streams for server in stream.behind})

    @property
    def refusing(self) -> list[StreamFacts]:
        """The streams that store nothing more."""
        return [stream for stream in self.streams if stream.refusal]
