"""The nats-server binary that the embedded broker needs."""

from __future__ import annotations

import re
import subprocess

from mistudio_runtime.broker.binary import BrokerError, find_nats_server
from mistudio_runtime.findings import Finding, fine, problem
from mistudio_runtime.findings.broker import OLDEST
from mistudio_runtime.settings import Settings

CHECK = "broker program"
INSTALL = 'pip install --upgrade "mistudio[broker]"'
_SECONDS = 10.0


def check_broker_program(settings: Settings) -> Finding:
    """Looks for the binary and asks its version; one is needed only if no broker is configured."""
    if settings.nats_url:
        return fine(CHECK, "No nats-server is needed here, because MISTUDIO_NATS_URL names a broker.")
    try:
        binary = find_nats_server()
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=_SECONDS, check=True)  # noqa: S603 - the program that the stack runs
    except BrokerError:
        return problem(CHECK, "There is no nats-server, which the embedded broker is.", INSTALL)
    except (OSError, subprocess.SubprocessError):
        return problem(CHECK, f"{binary} does not say its version.", INSTALL)
    return judge_program(str(binary), said.stdout)


def judge_program(binary: str, said: str) -> Finding:
    """Judges what `nats-server --version` said."""
    found = re.search(r"v(\d+)\.(\d+)\.(\d+)", said)
    if found is None:
        return problem(CHECK, f"{binary} does not say its version.", INSTALL)
    if tuple(map(int, found.groups())) < OLDEST:
        needed = ".".join(map(str, OLDEST[:2]))
        return problem(CHECK, f"{binary} is {found[0][1:]}, but {needed} or newer is needed.", INSTALL)
    return fine(CHECK, f"{binary} is nats-server {found[0][1:]}.")
