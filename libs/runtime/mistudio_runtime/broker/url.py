"""A broker's URL, which may name several servers and hold a password: what is wrong with it, and its addresses."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

_PORTS = {"nats": 4222, "tls": 4222, "ws": 80, "wss": 443}
_WEBSOCKETS = ("ws", "wss")
_FORM = "write it as nats://HOST:PORT"
_EACH = "write each of them as nats://USER:PASSWORD@HOST:PORT, with commas between"
_NEXT_SERVER = re.compile(r",(?=[A-Za-z]+://)")


def checked_url(url: str) -> str:
    """Returns the URL of a broker, or those of a cluster's servers with commas between them, each with its scheme.

    Raises ValueError, which never repeats any part of the URL.
    """
    servers = [server if "://" in server else f"nats://{server}" for server in servers_of(url)]
    splits = [_split(server) for server in servers]
    if len({"@" in split.netloc for split in splits}) > 1:
        raise ValueError(f"some of its servers have a user and some have none; {_EACH}")
    if len({split.scheme in _WEBSOCKETS for split in splits}) > 1:
        raise ValueError("some of its servers speak WebSocket and some do not; choose one way for all")
    # The client compares the scheme as it is written.
    return ",".join(
        f"{split.scheme}{server[len(split.scheme) :]}" for server, split in zip(servers, splits, strict=True)
    )


def servers_of(url: str) -> list[str]:
    """Returns the URL of each server that a URL names."""
    # A user or a password may hold a comma: where there is one, each server has its scheme.
    return _NEXT_SERVER.split(url) if "@" in url else url.split(",")


def address_of(url: str) -> str:
    """Returns "host:port" of each server without credentials; if one is malformed nothing is told."""
    try:
        return ", ".join(_address(_split(server)) for server in servers_of(checked_url(url)))
    except ValueError:
        return "a malformed address"


def _address(split: SplitResult) -> str:
    host = split.hostname or ""
    return f"{f'[{host}]' if ':' in host else host}:{split.port or _PORTS[split.scheme]}"


def _split(url: str) -> SplitResult:
    if any(letter.isspace() for letter in url):
        raise ValueError(f"there is a blank in it; {_FORM}")
    try:
        split = urlsplit(url)
    except ValueError:
        raise ValueError(f"its host is malformed; {_FORM}") from None
    if split.scheme not in _PORTS:
        raise ValueError(f"its scheme is none of {', '.join(_PORTS)}; {_FORM}")
    # What stands in front of a slash would else be taken for the host, and be told.
    if "@" in f"{split.path}{split.query}{split.fragment}":
        raise ValueError("its user or password holds one of / ? #, which a URL cannot; choose another password")
    _check_place(split)
    return split


def _check_place(split: SplitResult) -> None:
    place = split.netloc.rpartition("@")[2]
    if "," in place:
        raise ValueError(f"it names more than one broker; {_EACH}")
    try:
        port = split.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"its port is no number from 1 to 65535; {_FORM}")
    if not split.hostname:
        raise ValueError(f"it names no host; {_FORM}")
