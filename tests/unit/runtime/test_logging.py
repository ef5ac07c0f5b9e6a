"""Logs as machines and people read them, and what must never be in them."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from mistudio_runtime.settings import Settings
from mistudio_runtime.telemetry.logging import configure_logging, get_logger
from mistudio_runtime.telemetry.redaction import REDACTED, Redactor


@pytest.fixture(autouse=True)
def _restored_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("HF_TOKEN", "MISTUDIO_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_has_time_level_logger_service_pid_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(), "trainer")
    get_logger("mistudio.test").info("job %s started", "job-1", attempt=2)
    (line,) = _lines(capsys)
    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() == timedelta(0)
    assert line == {
        "event": "job job-1 started",
        "attempt": 2,
        "level": "info",
        "logger": "mistudio.test",
        "service": "trainer",
        "pid": os.getpid(),
    }


def test_the_standard_library_and_warnings_take_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(), "gateway")
    logging.getLogger("some.library").warning("slow by %d s", 3, extra={"url": "nats://u:pw-pw-pw@host"})
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", stacklevel=1)
    slow, old = _lines(capsys)
    assert (slow["event"], slow["service"], slow["url"]) == ("slow by 3 s", "gateway", f"nats://{REDACTED}@host")
    assert (old["logger"], old["level"]) == ("py.warnings", "warning")


def test_an_exception_is_one_line_without_its_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(token=SecretStr("s3cret-token")), "ingest")
    try:
        int("s3cret-token")
    except ValueError as error:
        get_logger("x").exception("failed", error=error)
    (line,) = _lines(capsys)
    assert "Traceback" in line["exception"]
    assert "s3cret-token" not in json.dumps(line)


def test_levels_and_chatty_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_level="info"), "ingest")
    get_logger("x").debug("hidden")
    logging.getLogger("httpx").info("GET https://hub/file?signature=abc")
    assert _lines(capsys) == []
    configure_logging(Settings(log_level="debug"), "ingest")
    get_logger("x").debug("shown")
    assert [line["event"] for line in _lines(capsys)] == ["shown"]


def test_bound_context_comes_along(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(), "ingest")
    with structlog.contextvars.bound_contextvars(job_id="job-7"):
        get_logger("x").info("hello")
    assert _lines(capsys)[0]["job_id"] == "job-7"


def test_pretty_lines_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="pretty"), "ingest")
    try:
        int("no")
    except ValueError:
        get_logger("x").exception("hello", attempt=2, token="abcdefgh")
    text = capsys.readouterr().out
    assert "hello" in text
    assert "attempt=2" in text
    assert "ValueError: invalid" in text
    assert "abcdefgh" not in text


@pytest.mark.parametrize(
    "key", ["token", "hf_token", "HF_TOKEN", "password", "authorization", "Authorization", "api-key", "client_secret"]
)
def test_secret_keys_are_redacted_at_any_depth(key: str) -> None:
    redacted = Redactor()(None, "info", {"outer": [{key: "abc"}], key: "abc"})
    assert redacted == {"outer": [{key: REDACTED}], key: REDACTED}


@pytest.mark.parametrize("key", ["tokens", "tokens_trained", "tokenizer", "total_tokens", "passwords_file"])
def test_the_vocabulary_of_language_models_is_no_secret(key: str) -> None:
    assert Redactor()(None, "info", {key: 12}) == {key: 12}


def test_values_of_secret_variables_are_redacted_wherever_they_turn_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hunter2222")
    redactor = Redactor(["hunter2222-longer"])
    assert redactor.text("a hunter2222-longer b hunter2222 c") == f"a {REDACTED} b {REDACTED} c"
    assert (
        redactor(None, "info", {"error": RuntimeError("bad hunter2222")})["error"] == f"RuntimeError('bad {REDACTED}')"
    )


def test_tokens_are_known_by_their_shape() -> None:
    text = Redactor().text("Bearer abc.def, hf_abcdefghijklmnopqrst, https://user:pw@host/x")
    assert text == f"Bearer {REDACTED} {REDACTED}, https://{REDACTED}@host/x"
