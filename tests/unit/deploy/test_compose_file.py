"""The compose file says the same as the queue table and the settings."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from compose_file import DEPLOY, duration_seconds, load, size_bytes

from mistudio_runtime.broker.identity import MAX_PAYLOAD_BYTES
from mistudio_runtime.queues import QueueTable, load_queues
from mistudio_runtime.settings import WORKER_STOP_MARGIN_SECONDS, Settings
from mistudio_runtime.stack.plan import plan_stack

BASE_BYTES = 1_500_000_000
"""What a worker takes beside its jobs: itself, the forkserver with torch, its tmpfs."""
GATEWAY_STOP_SECONDS = 10.0


@pytest.fixture
def services() -> dict[str, Any]:
    return dict(load()["services"])


@pytest.fixture
def table() -> QueueTable:
    return load_queues()


def workers(services: dict[str, Any]) -> dict[str, Any]:
    return {name: service for name, service in services.items() if name not in ("broker", "gateway")}


def served(name: str, table: QueueTable) -> tuple[str, ...]:
    """Returns the services of the queue table that a container serves."""
    return table.profiles["minimal"][0] if name == "worker" else (name,)


def test_profiles_and_containers_are_those_of_the_queue_table(services: dict[str, Any], table: QueueTable) -> None:
    declared = {
        profile: {name for name, service in services.items() if profile in service.get("profiles", ())}
        for profile in table.profiles
    }
    assert declared == {
        profile: {worker.name for worker in plan_stack(table, profile, {}).workers} for profile in table.profiles
    }
    assert {p for service in workers(services).values() for p in service["profiles"]} == set(table.profiles)
    assert not any("profiles" in services[name] for name in ("broker", "gateway"))


def test_a_container_has_room_for_its_jobs(services: dict[str, Any], table: QueueTable) -> None:
    for name, service in workers(services).items():
        queues = [queue for one in served(name, table) for queue in table.queues_of(one)]
        jobs = sum(queue.slots * (queue.memory_limit_bytes or 0) for queue in queues)
        limit = service.get("mem_limit")
        assert (limit is not None) == (jobs > 0), name
        assert limit is None or size_bytes(limit) >= jobs + BASE_BYTES, name


def test_a_container_may_stop_for_longer_than_its_jobs(services: dict[str, Any]) -> None:
    environment = services["trainer"]["environment"]
    grace = float(environment["MISTUDIO_STOP_GRACE_SECONDS"])
    assert grace == Settings.model_fields["stop_grace_seconds"].default
    for service in workers(services).values():
        assert duration_seconds(service["stop_grace_period"]) > grace + WORKER_STOP_MARGIN_SECONDS
    assert duration_seconds(services["gateway"]["stop_grace_period"]) > GATEWAY_STOP_SECONDS


def test_containers_are_confined(services: dict[str, Any]) -> None:
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["init"] is True
        assert service["restart"] == "unless-stopped"
        assert not {"privileged", "user", "cap_add", "container_name", "network_mode"} & set(service)


def test_only_the_gateway_is_published_and_only_to_this_machine(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"gateway": ["127.0.0.1:50051:50051"]}


def test_only_what_downloads_has_the_hubs_token_and_a_way_out(services: dict[str, Any]) -> None:
    downloads = {"ingest", "worker"}
    assert {name for name, service in services.items() if "HF_TOKEN" in service.get("environment", {})} == downloads
    assert {name for name, service in services.items() if "outside" in service["networks"]} == {"gateway", *downloads}
    assert all("mesh" in service["networks"] for service in services.values())
    assert load()["networks"]["mesh"]["internal"] is True


def test_every_variable_of_the_services_is_a_setting(services: dict[str, Any]) -> None:
    others = {"HF_TOKEN", "HF_ENDPOINT", "OMP_NUM_THREADS"}
    known = {f"MISTUDIO_{name.upper()}" for name in Settings.model_fields} | others
    assert {name for service in services.values() for name in service.get("environment", {})} <= known
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert set(re.findall(r"\bMISTUDIO_[A-Z_]+(?==)", dockerfile)) <= known


def test_every_container_is_started_when_what_it_needs_is_healthy(services: dict[str, Any]) -> None:
    healthy = {"condition": "service_healthy"}
    assert services["gateway"]["depends_on"] == {"broker": healthy}
    for service in workers(services).values():
        assert service["depends_on"] == {"broker": healthy, "gateway": healthy}


def test_there_is_an_image_for_each_container(services: dict[str, Any], table: QueueTable) -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", dockerfile, re.MULTILINE))
    for name, service in services.items():
        if name != "broker":
            assert service["build"]["target"] == name
            assert name in stages
    version = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert set(re.findall(r"ARG VERSION=(.*)", dockerfile)) == {version}
    assert f'CMD ["--services", "{",".join(table.profiles["minimal"][0])}"]' in dockerfile


@pytest.mark.parametrize("name", ["cluster.conf", "compose.conf", "nats.conf"])
def test_the_broker_keeps_what_it_acknowledges(name: str) -> None:
    configuration = (DEPLOY / "nats" / name).read_text(encoding="utf-8")
    assert re.search(r"^\s*sync_interval: always$", configuration, re.MULTILINE)
    assert f"max_payload: {MAX_PAYLOAD_BYTES // 2**20}MB" in configuration


def test_gpus_are_for_what_computes() -> None:
    override = load("compose.gpu.yaml")["services"]
    assert set(override) == {"trainer", "extractor", "worker"}
