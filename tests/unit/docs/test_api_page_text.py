"""docs/api.md is what its tool makes of the contract, and names every public rpc."""

from __future__ import annotations

import subprocess
import sys

from support.api_page import buf_commands, examples, grpcurl_commands, public_methods
from support.pages import ROOT

HEALTH = "grpc.health.v1.Health/Check"


def test_the_page_is_current() -> None:
    done = subprocess.run(
        [sys.executable, "tools/api_page", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_public_rpc_has_a_line_for_each_client_and_both_say_the_same() -> None:
    buf, grpcurl = buf_commands(), grpcurl_commands()
    assert buf.keys() == public_methods().keys() | {HEALTH} == examples().keys() | {HEALTH}
    assert {rpc: command.data for rpc, command in buf.items()} == {rpc: one.data for rpc, one in grpcurl.items()}
