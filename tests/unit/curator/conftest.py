"""A data home, and a gateway that knows some jobs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from ledger_stand_in import Ledger

from mistudio import v1
from mistudio_runtime.settings import Settings
from support.workshop import Workshop


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """A JobService over a real socket that answers GetJob."""
    server = grpc.server(ThreadPoolExecutor(2))
    ledger = Ledger()
    v1.add_JobServiceServicer_to_server(ledger, server)
    ledger.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield ledger
    server.stop(None).wait()


@pytest.fixture
def workshop(home: Path, ledger: Ledger) -> Workshop:
    shop = Workshop(home)
    shop.settings = Settings(home=home, gateway=ledger.address)
    return shop
