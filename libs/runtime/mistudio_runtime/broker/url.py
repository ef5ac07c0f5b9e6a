"""A broker's URL, which may hold a password: what is wrong with it, and its host and port."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

_PORTS = {"nats": 4222, "tls": 4222, "ws": 80, "wss": 443}
_FORM = "write it as nats://HOST:PORT"


def checked_url(url: str) -> str:
    """Returns the URL of one broker, with its scheme. Raises ValueError, which never repeats any part of the URL."""
    url = url if "://" in url else f"nats://{url}"
    split = _split(url)
    # The client compares the scheme as it is written.
    return f"{split.scheme}{url[len(split.scheme) :]}"


def address_of(url: str) -> str:
    """Returns "host:port" of a broker's URL without credentials; of a malformed one nothing is told."""
    try:
        split = _split(url if "://" in url else f"nats://{url}")
    except ValueError:
        return "a malformed address"
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
        raise ValueError(f"it names more than one broker; {_FORM}")
    try:
        port = split.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"its port is no number from 1 to 65535; {_FORM}")
    if not split.hostname:
        raise ValueError(f"it names no host; {_FORM}")
