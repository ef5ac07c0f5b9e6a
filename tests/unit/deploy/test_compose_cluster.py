"""deploy/compose.cluster.yaml over deploy/compose.yaml: three brokers, two gateways, and nothing less confined."""

from __future__ import annotations

import re
from typing import Any

import pytest
from compose_file import DEPLOY, load

from mistudio.gateways import gateways_of
from mistudio_runtime.broker.url import servers_of
from mistudio_runtime.settings import Settings


@pytest.fixture
def cluster() -> dict[str, Any]:
    return dict(load("compose.cluster.yaml")["services"])


@pytest.fixture
def base() -> dict[str, Any]:
    return dict(load()["services"])


def test_every_service_knows_every_broker_and_every_gateway(cluster: dict[str, Any], base: dict[str, Any]) -> None:
    brokers = {name for name in cluster if name.startswith("broker")}
    gateways = {name for name in cluster if name.startswith("gateway")}
    assert set(base) <= set(cluster)
    for name in cluster.keys() - brokers:
        environment = cluster[name]["environment"]
        settings = Settings(
            nats_url=environment["MISTUDIO_NATS_URL"], nats_replicas=environment["MISTUDIO_NATS_REPLICAS"]
        )
        assert {url.split("/")[-1] for url in servers_of(settings.nats_url)} == {f"{one}:4222" for one in brokers}
        assert settings.nats_replicas == len(brokers) == 3
        assert set(gateways_of(environment["MISTUDIO_GATEWAY"])) == {f"{one}:50051" for one in gateways}


def test_the_brokers_have_names_and_disks_of_their_own(cluster: dict[str, Any], base: dict[str, Any]) -> None:
    brokers = {name: service for name, service in cluster.items() if name.startswith("broker")}
    assert {service["environment"]["MISTUDIO_BROKER_NAME"] for service in brokers.values()} == set(brokers)
    volumes = [volume for service in brokers.values() for volume in service["volumes"]]
    assert sorted(volumes) == ["broker-1:/data", "broker-2:/data", "broker-3:/data"]
    assert base["broker"]["volumes"] == ["broker:/data"], "a cluster deletes what a single broker has left"
    routes = re.findall(r"nats://([\w-]+):6222", (DEPLOY / "nats" / "cluster.conf").read_text(encoding="utf-8"))
    assert set(routes) == set(brokers)


def test_the_second_gateway_is_as_the_first(cluster: dict[str, Any], base: dict[str, Any]) -> None:
    first, second = base["gateway"] | {"environment": base["gateway"]["environment"]}, cluster["gateway-2"]
    differ = {"build", "ports", "depends_on", "environment"}
    assert {name: value for name, value in second.items() if name not in differ} == {
        name: value for name, value in first.items() if name not in differ
    }
    unlike = {"MISTUDIO_NATS_URL", "MISTUDIO_NATS_REPLICAS", "MISTUDIO_GATEWAY", "OMP_NUM_THREADS"}
    assert {name: value for name, value in second["environment"].items() if name not in unlike} == {
        name: value for name, value in first["environment"].items() if name not in unlike
    }
    assert second["ports"] == ["127.0.0.1:50052:50051"]
