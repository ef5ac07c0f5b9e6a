"""The token that gateways and workers share through a file."""

from __future__ import annotations

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from mistudio_runtime.settings import Settings, SettingsError
from mistudio_runtime.token_file import warn_of_readers, with_gateway_token, with_worker_token


def settings(file: Path | None, **given: Any) -> Settings:
    return Settings.load(token_file=file, **given)


def token(of: Settings) -> str:
    return of.token.get_secret_value()


def test_a_gateway_makes_the_token_and_every_other_process_finds_it(tmp_path: Path) -> None:
    file = tmp_path / "home" / "token"
    made = token(with_gateway_token(settings(file)))
    assert len(made) >= 24
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert token(with_gateway_token(settings(file))) == made
    assert token(with_worker_token(settings(file))) == made
    assert list(file.parent.iterdir()) == [file]


def test_gateways_that_start_at_once_agree(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with ThreadPoolExecutor(16) as pool:
        tokens = [token(one) for one in pool.map(lambda _: with_gateway_token(settings(file)), range(64))]
    assert len(set(tokens)) == 1
    assert list(tmp_path.iterdir()) == [file]


def test_a_worker_waits_for_the_gateway(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with ThreadPoolExecutor() as pool:
        worker = pool.submit(with_worker_token, settings(file))
        made = with_gateway_token(settings(file))
        assert worker.result(30) == made
    with pytest.raises(SettingsError, match="the gateway makes it"):
        with_worker_token(settings(tmp_path / "other"), within_seconds=0)


def test_a_given_secret_is_used_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from the operator\n")
    assert token(with_gateway_token(settings(file))) == "from the operator"
    assert token(with_worker_token(settings(file))) == "from the operator"
    assert token(with_gateway_token(settings(file, token="said"))) == "said"
    assert token(with_worker_token(settings(None))) == ""


def test_a_file_that_is_no_token_is_one_sentence(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    for wrong, says in ((empty, "is empty; delete it"), (tmp_path, "cannot be read"), (empty / "x", "cannot be")):
        with pytest.raises(SettingsError, match=says):
            with_gateway_token(settings(wrong))


def test_what_is_no_regular_file_is_neither_waited_for_nor_followed(tmp_path: Path) -> None:
    fifo, dangling = tmp_path / "fifo", tmp_path / "dangling"
    os.mkfifo(fifo)
    dangling.symlink_to(tmp_path / "nowhere")
    for wrong, says in ((fifo, "is no regular file"), (dangling, "is a symbolic link; name the file itself")):
        for take in (with_gateway_token, with_worker_token):
            with pytest.raises(SettingsError, match=says):
                take(settings(wrong))
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP])
def test_gateways_agree_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    file = tmp_path / "token"
    with ThreadPoolExecutor(16) as pool:
        tokens = [token(one) for one in pool.map(lambda _: with_gateway_token(settings(file)), range(64))]
    assert len(set(tokens)) == 1
    assert len(tokens[0]) >= 24
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_others_can_read_is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from the operator")
    for mode, warnings in ((0o600, 0), (0o644, 1), (0o620, 1)):
        file.chmod(mode)
        with capture_logs() as logs:
            warn_of_readers(settings(file))
        assert len(logs) == warnings
        assert "operator" not in str(logs)


@pytest.mark.parametrize(
    ("listen", "host", "reachable"),
    [
        ("127.0.0.1:0", "", "127.0.0.1"),
        ("10.0.0.7:50051", "", "10.0.0.7"),
        ("10.0.0.7:50051", "gpu-1", "gpu-1"),
        ("0.0.0.0:50051", "gpu-1", "gpu-1"),
        ("0.0.0.0:50051", "", None),
        ("[::]:50051", "", None),
        (":50051", "", None),
    ],
)
def test_a_worker_that_listens_everywhere_is_reached_by_its_machines_name(
    listen: str, host: str, reachable: str | None
) -> None:
    given = Settings.load(worker_listen=listen, worker_host=host)
    assert given.reachable_worker_host == (reachable or given.host)
