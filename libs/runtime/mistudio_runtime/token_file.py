"""The token that gateway and workers share through a file, where no supervisor hands it to them."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path

import structlog
from pydantic import SecretStr

from mistudio_runtime.settings import Settings, SettingsError

log = structlog.get_logger(__name__)

WAIT_SECONDS = 60.0
"""A worker may start before the gateway that makes the file."""
_PERIOD_SECONDS = 0.2
_EMPTY_SECONDS = 1.0
"""For so long may a file be empty that another gateway makes on a file system without hard links."""
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_OTHERS = 0o077


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


def warn_of_readers(settings: Settings) -> None:
    """Logs a warning if others than its owner can get at the token's file. Logging has to be configured."""
    if settings.token_file is None:
        return
    with suppress(OSError):
        if (mode := stat.S_IMODE(settings.token_file.stat().st_mode)) & _OTHERS:
            file = str(settings.token_file)
            log.warning("others than its owner can get at the token file; chmod 600 it", file=file, mode=f"{mode:04o}")


def _read(file: Path) -> str | None:
    """Returns the token, or None if there is no file. One that is empty may be about to be written."""
    deadline = time.monotonic() + _EMPTY_SECONDS
    while (token := _read_once(file)) == "":
        if time.monotonic() >= deadline:
            raise SettingsError(f"MISTUDIO_TOKEN_FILE: {file} is empty; delete it, and the gateway makes another")
        time.sleep(_PERIOD_SECONDS)
    return token


def _read_once(file: Path) -> str | None:
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO would be waited for
    except FileNotFoundError:
        return None
    except OSError as error:
        why = "it is a symbolic link; name the file itself" if error.errno == errno.ELOOP else error
        raise SettingsError(f"MISTUDIO_TOKEN_FILE: {file} cannot be read: {why}") from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise SettingsError(f"MISTUDIO_TOKEN_FILE: {file} cannot be read: it is no regular file")
        with open(fd, encoding="utf-8", closefd=False) as stream:
            return stream.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"MISTUDIO_TOKEN_FILE: {file} cannot be read: {error}") from error
    finally:
        os.close(fd)


def _make(file: Path) -> str:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):  # several gateways may start at once, and all take what one has made
            _write_exclusively(file, secrets.token_urlsafe(24))
    except OSError as error:
        raise SettingsError(f"MISTUDIO_TOKEN_FILE: {file} cannot be made: {error}") from error
    token = _read(file)
    if token is None:
        raise SettingsError(f"MISTUDIO_TOKEN_FILE: {file} was removed as soon as it was made")
    return token


def _write_exclusively(file: Path, text: str) -> None:
    """Makes a whole file in one step, or, where there are no hard links, in two. Raises FileExistsError."""
    # Gateways on several machines may have the same process id.
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    _write_private(temporary, text)
    try:
        file.hardlink_to(temporary)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _write_private(file, text)  # empty for a moment, which readers wait out
    finally:
        temporary.unlink()


def _write_private(file: Path, text: str) -> None:
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        file.unlink()
        raise
