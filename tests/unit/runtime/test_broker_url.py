"""What the broker's URL may be: one server, or those of a cluster."""

from __future__ import annotations

import pytest

from mistudio_runtime.broker.url import address_of, checked_url, servers_of


@pytest.mark.parametrize(
    ("given", "checked"),
    [
        ("broker", "nats://broker"),
        ("a:1,b:2,c:3", "nats://a:1,nats://b:2,nats://c:3"),
        ("nats://a:1,nats://b:2", "nats://a:1,nats://b:2"),
        ("NATS://u:p@a:1,nats://u:p@b:2", "nats://u:p@a:1,nats://u:p@b:2"),
        ("tls://a,tls://b", "tls://a,tls://b"),
    ],
)
def test_a_url_names_one_server_or_several(given: str, checked: str) -> None:
    assert checked_url(given) == checked
    assert len(servers_of(checked)) == checked.count("://")


def test_a_password_may_hold_a_comma() -> None:
    url = "nats://u:S,ECRET@a:1,nats://u:S,ECRET@b:2"
    assert checked_url(url) == url
    assert servers_of(url) == ["nats://u:S,ECRET@a:1", "nats://u:S,ECRET@b:2"]
    assert address_of(url) == "a:1, b:2"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("a:1,", "names no host"),
        ("a:1, b:2", "blank"),
        ("nats://u:SECRET@a:1,b:2", "more than one broker"),
        ("nats://SECRET:123,nats://u:p@b:2", "some have none"),
        ("nats://a:1,ws://b:2", "WebSocket"),
        ("a:1,http://b:2", "scheme"),
    ],
)
def test_what_is_wrong_is_said_without_a_secret(given: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        checked_url(given)
    assert "SECRET" not in str(caught.value)
    assert address_of(given) == "a malformed address"
