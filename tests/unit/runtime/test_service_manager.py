from __future__ import annotations

import socket
import sys
import uuid
from pathlib import Path

import pytest

from mistudio_runtime.service_manager import announce_ready


def listening(address: str) -> socket.socket:
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    channel.settimeout(5)
    channel.bind(address)
    return channel


def test_the_service_manager_hears_that_a_service_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path may have a hundred characters only
    with listening("notify") as channel:
        monkeypatch.setenv("NOTIFY_SOCKET", "notify")
        announce_ready()
        assert channel.recv(64) == b"READY=1"


@pytest.mark.skipif(sys.platform != "linux", reason="abstract addresses are Linux's own")
def test_it_may_listen_on_an_abstract_address(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"mistudio-{uuid.uuid4().hex}"
    with listening(f"\0{name}") as channel:
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        announce_ready()
        assert channel.recv(64) == b"READY=1"


def test_without_a_service_manager_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    announce_ready()
