"""The token that gateway and workers share through a file, where no supervisor hands it to them."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

from pydantic import SecretStr

from mistudio_runtime.settings import Settings, SettingsError

WAIT_SECONDS = 60.0
"""A worker may start before the gateway that makes the file."""
_PERIOD_SECONDS = 0.2


def with_gateway_token(settings: Settings) -> Settings:
    """Returns a gateway's settings with the token of MISTUDIO_TOKEN_FILE, which is made if missing.

    Raises SettingsError.
    """
    file = settings.token_file
    if file is None or settings.token.get_secret_value():
        return settings
    return _with(settings, _read(file) or _make(file))


def with_worker_token(settings: Settings, within_seconds: float = WAIT_SECONDS) -> Settings:
    """Returns a worker's settings with the token of MISTUDIO_TOKEN_FILE, waiting for it. Raises SettingsError."""
    file = settings.token_file
    if file is None or settings.token.get_secret_value():
        return settings
    deadline = time.monotonic() + within_seconds
    while (token := _read(file)) is None:
        if time.monotonic() >= deadline:
            raise SettingsError(
                f"MISTUDIO_TOKEN_FILE: there is no {file} (waited {within_seconds:g} s); the gateway makes it when it "
                "starts, in the same folder"
            )
        time.sleep(_PERIOD_SECONDS)
    return _with(settings, token)


def _with(settings: Settings, token: str) -> Settings:
    return settings.model_copy(update={"token": SecretStr(token)})


def _read(file: Path) -> str | None:
    try:
        token = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"MISTUDIO_TOKEN_FILE: {file} cannot be read: {error}") from error
    if not token:
        raise SettingsError(f"MISTUDIO_TOKEN_FILE: {file} is empty; delete it, and the gateway makes another")
    return token


def _make(file: Path) -> str:
    # Gateways on several machines may start at once, with the same process id: a link to a whole file is made by one.
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _write_private(temporary, secrets.token_urlsafe(24))
        try:
            file.hardlink_to(temporary)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    except OSError as error:
        raise SettingsError(f"MISTUDIO_TOKEN_FILE: {file} cannot be made: {error}") from error
    token = _read(file)
    assert token is not None
    return token


def _write_private(file: Path, text: str) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
