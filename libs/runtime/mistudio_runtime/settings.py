"""Settings from MISTUDIO_* variables and a TOML file, checked at start with one readable error."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings import SettingsError as UnreadableError

from mistudio_runtime.broker.url import checked_url

DEVICE = re.compile(r"^(cpu|cuda(:[0-9]{1,3})?)?$")
"""How a device is written."""


WORKER_STOP_MARGIN_SECONDS = 12.0
"""Beyond the jobs' own grace: for a worker to kill what does not obey, to report, and to leave."""

_EVERYWHERE = ("", "0.0.0.0", "[::]")  # noqa: S104 - recognized, not bound


_NAME_BYTES = 255
_PATH_BYTES = os.pathconf("/", "PC_PATH_MAX")
"""Whole, and of it each name: what common file systems take."""


class SettingsError(Exception):
    """The configuration is wrong; the message lists everything that is."""


def default_home() -> Path:
    """Returns where data lies unless MISTUDIO_HOME says otherwise: $XDG_DATA_HOME/mistudio."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "mistudio"


def settings_file() -> Path:
    """Returns the TOML file that settings are read from, whether or not it is there."""
    return Path(os.environ.get("MISTUDIO_CONFIG") or default_home() / "config.toml")


def _absolute(path: Path) -> Path:
    """Returns the path from the root. Raises ValueError if no file can lie there."""
    try:
        path = path.expanduser().absolute()
    except RuntimeError:
        raise ValueError("no home is known for the user after its ~") from None
    longest = max((len(os.fsencode(part)) for part in path.parts), default=0)
    if longest > _NAME_BYTES or len(os.fsencode(path)) + _NAME_BYTES > _PATH_BYTES:
        raise ValueError("the path is too long for a file system; choose a shorter one")
    return path


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class Settings(BaseSettings):
    """What every service of the mesh is told."""

    model_config = SettingsConfigDict(env_prefix="MISTUDIO_", extra="ignore", frozen=True, hide_input_in_errors=True)

    home: AbsolutePath = Field(default_factory=default_home)
    """Where the embedded broker, the artifacts, checkpoints and logs lie."""
    nats_url: Annotated[str, AfterValidator(lambda url: url and checked_url(url))] = ""
    """The broker, e.g. nats://localhost:4222, or a cluster's servers with commas; empty takes the embedded one."""
    nats_replicas: Annotated[int, Field(ge=1, le=5)] = 1
    """Copies of streams and buckets in a broker cluster."""
    store_url: str = ""
    """The artifact store; empty is <home>/artifacts."""
    gateway: str = "localhost:50051"
    """Where workers and clients find the gateway; several with commas."""
    listen: str = "127.0.0.1:50051"
    """Where the gateway listens."""
    worker_listen: str = "127.0.0.1:0"
    """Where a worker's own gRPC server listens; port 0 takes a free one."""
    worker_host: str = ""
    """The host name under which the gateway reaches this worker; empty takes the one it listens on, or this machine's
    if it listens everywhere."""
    token: SecretStr = SecretStr("")
    """Shared secret between gateway and workers; empty asks for none."""
    token_file: AbsolutePath | None = None
    """A file that holds the token; a gateway makes it if it is missing. The token itself wins."""
    queues_file: Path | None = None
    """A queue table in place of the shipped one."""
    schedules_file: Path | None = None
    """A table of schedules in place of the shipped one."""
    allowed_roots: list[AbsolutePath] = Field(default_factory=lambda: [Path.cwd()])
    """Folders from which local files may be read and to which SAEs may be exported."""
    ack_wait_seconds: Annotated[float, Field(ge=1)] = 10.0
    """After so long without a sign of life a worker's job runs again elsewhere."""
    stop_grace_seconds: Annotated[float, Field(ge=0)] = 20.0
    """How long a job may take to obey a cancel, a pause or a drain before it is killed."""
    device: Annotated[str, Field(pattern=DEVICE.pattern)] = ""
    """Where this worker computes for jobs that name no device: cpu, cuda or cuda:N; empty takes the first GPU."""
    jobs_per_device: Annotated[int, Field(ge=1, le=64)] = 1
    """Jobs that compute on one graphics processor at a time, as the gateway allows; they share its memory."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important level that is logged."""
    log_format: Literal["auto", "json", "pretty"] = "auto"
    """JSON for machines; pretty on a terminal."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes it by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes it by name
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Lets arguments win over variables, and variables over the TOML file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, settings_file())

    @classmethod
    def load(cls, **overrides: Any) -> Settings:
        """Reads the settings. Raises SettingsError that lists everything that is wrong."""
        try:
            return cls(**overrides)
        except (ValidationError, UnreadableError, TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise SettingsError(
                "\n".join(["the settings are wrong:", *(f"  {line}" for line in _lines(error))])
            ) from error

    @property
    def artifacts_url(self) -> str:
        """URL of the artifact store."""
        return self.store_url or (self.home / "artifacts").as_uri()

    @property
    def worker_stop_seconds(self) -> float:
        """Within so many seconds a worker that is told to end has ended."""
        return self.stop_grace_seconds + WORKER_STOP_MARGIN_SECONDS

    @property
    def scratch(self) -> Path:
        """Where jobs keep what outlives an attempt."""
        return self.home / "scratch"

    @property
    def reachable_worker_host(self) -> str:
        """Under which host name the gateway reaches a worker with these settings."""
        listens_on = self.worker_listen.rpartition(":")[0]
        return self.worker_host or (self.host if listens_on in _EVERYWHERE else listens_on)

    @property
    def host(self) -> str:
        """This machine's name."""
        return socket.gethostname()


def _lines(error: Exception) -> list[str]:
    """Returns everything that is wrong, each after the name of its variable or file."""
    if isinstance(error, ValidationError):
        return [
            f"MISTUDIO_{'_'.join(map(str, bad['loc'])).upper()}: {bad['msg'].removeprefix('Value error, ')}"
            for bad in error.errors()
        ]
    if isinstance(error, UnreadableError) and (field := re.search(r'field "(\w+)"', str(error))):
        return [f'MISTUDIO_{field[1].upper()}: Input should be a list in JSON, such as ["/data"]']
    why = "the file is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error
    return [f"{settings_file()}: {why}"]
