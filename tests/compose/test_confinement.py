"""What the containers may do, seen from inside."""

from __future__ import annotations

import json
import re

import pytest
from compose_stack import ComposeStack
from docker_engine import DockerError, inspect

STATUS = "import json; print(json.dumps(dict(line.rstrip().split(':\\t', 1) for line in open('/proc/self/status'))))"
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], 50051), 3)"
OURS = ("gateway", "curator", "ingest", "trainer", "extractor")
WITH_A_WAY_OUT = ("gateway", "ingest")


def writes(stack: ComposeStack, service: str, path: str) -> bool:
    try:
        stack.execute(service, "touch", path)
    except DockerError as error:
        if "Read-only file system" not in str(error):
            raise
        return False
    stack.execute(service, "rm", path)
    return True


def test_services_are_no_root_and_have_no_capabilities(full: ComposeStack) -> None:
    for service in OURS:
        found = json.loads(full.execute(service, "python", "-c", STATUS))
        assert found["Uid"].split() == ["10001"] * 4
        assert found["CapEff"] == found["CapBnd"] == "0" * 16
        assert found["NoNewPrivs"] == "1"


def test_only_the_volumes_can_be_written(full: ComposeStack) -> None:
    for service in OURS:
        assert not writes(full, service, "/usr/local/lib/x")
        assert writes(full, service, "/tmp/x")
        assert writes(full, service, "/var/lib/mistudio/x")
    assert not writes(full, "ingest", "/files/x")
    assert not writes(full, "gateway", "/exports/x")
    assert writes(full, "ingest", "/exports/x")
    for service in full.services():
        assert inspect(full.container(service))["HostConfig"]["ReadonlyRootfs"] is True


def reaches(stack: ComposeStack, service: str, address: str) -> bool:
    try:
        stack.execute(service, "python", "-c", CONNECT, address)
    except DockerError as error:
        if not re.search("TimeoutError|OSError", str(error)):
            raise
        return False
    return True


def test_only_what_downloads_reaches_beyond_the_mesh(full: ComposeStack) -> None:
    networks = inspect(full.container("gateway"))["NetworkSettings"]["Networks"]
    beyond = networks[f"{full.project}_outside"]["IPAddress"]
    assert {service for service in OURS if reaches(full, service, beyond)} == set(WITH_A_WAY_OUT)
    holders = {s for s in full.services() if "hf_compose_test" in str(inspect(full.container(s))["Config"]["Env"])}
    assert holders == {"ingest"}


def test_the_token_is_its_users_only(full: ComposeStack) -> None:
    mode = full.execute("trainer", "stat", "-c", "%a %U", "/var/lib/mistudio/token").split()
    assert mode == ["600", "mistudio"]
    token = full.execute("gateway", "cat", "/var/lib/mistudio/token")
    assert len(token) >= 24
    assert token not in full.logs()


def test_a_worker_without_the_token_is_refused(full: ComposeStack) -> None:
    stranger = ("env", "MISTUDIO_TOKEN=guessed", "MISTUDIO_WORKER_LISTEN=127.0.0.1:0", "python", "-m")
    with pytest.raises(DockerError, match="MISTUDIO_TOKEN is not the gateway's"):
        full.execute("curator", *stranger, "mistudio_curator", "--name", "stranger@1")


def test_the_published_port_is_this_machines_only(full: ComposeStack) -> None:
    port = full.address.rpartition(":")[2]
    bindings = {s: inspect(full.container(s))["HostConfig"]["PortBindings"] for s in full.services()}
    published = [binding for ports in bindings.values() for binding in (ports or {}).values()]
    assert published == [[{"HostIp": "127.0.0.1", "HostPort": port}]]
