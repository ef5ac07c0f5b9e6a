"""Which gateway is called where there are several."""

from __future__ import annotations

import grpc
import pytest

from mistudio.channel import OPTIONS
from mistudio.gateways import Gateways, gateways_of


class Failed(grpc.RpcError):  # type: ignore[misc]
    """A failed call."""

    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("a:1", ["a:1"]),
        ("a:1, b:2,", ["a:1", "b:2"]),
        ("dns:///a:1,dns:///b:1", ["dns:///a:1", "dns:///b:1"]),
        ("ipv4:10.0.0.1:1,10.0.0.2:1", ["ipv4:10.0.0.1:1,10.0.0.2:1"]),
        (",", [","]),
    ],
)
def test_an_address_names_one_gateway_or_several(address: str, found: list[str]) -> None:
    assert gateways_of(address) == found


def test_who_is_gone_is_left_once_whoever_notices() -> None:
    gateways = Gateways("a:1,b:2,c:3")
    first = gateways.current
    for _ in range(2):  # two threads notice the same
        gateways.note(first, Failed(grpc.StatusCode.UNAVAILABLE))
    second = gateways.current
    gateways.note(second, Failed(grpc.StatusCode.NOT_FOUND))
    assert gateways.current == second
    gateways.leave(second)
    third = gateways.current
    gateways.leave(third)
    assert {first, second, third} == {"a:1", "b:2", "c:3"}
    assert gateways.current == first


def test_a_hang_is_looked_for_only_where_another_gateway_could_answer() -> None:
    assert Gateways("a:1").options == OPTIONS
    assert dict(Gateways("a:1,b:2").options)["grpc.http2.ping_timeout_ms"] > 0
