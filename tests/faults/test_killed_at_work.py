# SPDX-License-Identifier: Apache-2.0
"""kill -9 in the middle of everything; afterwards all is finished, undone, or honestly in ERROR.

Each round orders servers, deletes, an image upload and a router change at once, kills the process
at a moment drawn from the seed, starts it again and waits until nothing is on its way any more.
Then rows, allocations, ports, machines and files must agree.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from octostack.testing.installation import Installation

ROUNDS = 5
SETTLE_S = 60
COMPUTE, NETWORK, IMAGE = "/compute/v2.1", "/networking/v2.0", "/image/v2"


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path / "state")
    made.up("--simulate", "3", "--port", "0")
    yield made
    made.command("down", check=False)


class Tenant:
    """What the rounds work on."""

    def __init__(self, client: httpx2.Client) -> None:
        network = client.post(f"{NETWORK}/networks", json={"network": {"name": "n"}}).json()
        self.network = network["network"]["id"]
        subnet = {"network_id": self.network, "ip_version": 4, "cidr": "10.9.0.0/16"}
        made = client.post(f"{NETWORK}/subnets", json={"subnet": subnet}).json()
        self.subnet = made["subnet"]["id"]
        router = client.post(f"{NETWORK}/routers", json={"router": {"name": "r"}}).json()
        self.router = router["router"]["id"]
        self.image = upload(client, "base")
        flavors = client.get(f"{COMPUTE}/flavors").json()["flavors"]
        self.flavor = next(f["id"] for f in flavors if "tiny" in f["name"] or "nano" in f["name"])


def upload(client: httpx2.Client, name: str) -> str:
    """A small image; returns its id."""
    order = {"name": name, "disk_format": "raw", "container_format": "bare"}
    image: str = client.post(f"{IMAGE}/images", json=order).json()["id"]
    parts = (b"x" * 65536 for _ in range(64))
    headers = {"content-type": "application/octet-stream"}
    client.put(f"{IMAGE}/images/{image}/file", content=parts, headers=headers)
    return image


def boot(client: httpx2.Client, tenant: Tenant) -> None:
    order = {"name": "s", "imageRef": tenant.image, "flavorRef": tenant.flavor,
             "networks": [{"uuid": tenant.network}]}  # fmt: skip
    client.post(f"{COMPUTE}/servers", json={"server": order})


def drop_one(client: httpx2.Client, _tenant: Tenant) -> None:
    for server in client.get(f"{COMPUTE}/servers").json().get("servers", [])[:1]:
        client.delete(f"{COMPUTE}/servers/{server['id']}")


def turn_router(client: httpx2.Client, tenant: Tenant) -> None:
    body = {"subnet_id": tenant.subnet}
    for verb in ("add_router_interface", "remove_router_interface"):
        client.put(f"{NETWORK}/routers/{tenant.router}/{verb}", json=body)


def upload_another(client: httpx2.Client, _tenant: Tenant) -> None:
    upload(client, "another")


WORK: tuple[Callable[[httpx2.Client, Tenant], None], ...] = (
    boot,
    boot,
    boot,
    drop_one,
    turn_router,
    upload_another,
)


def disturbed(work: Callable[[httpx2.Client, Tenant], None], *args: Any) -> None:
    """Do `work`; that its server dies meanwhile is the point."""
    try:
        work(*args)
    except (httpx2.HTTPError, KeyError, ValueError):
        return


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_in_the_middle_of_work(installation: Installation, seed: int) -> None:
    chance = random.Random(seed)
    with installation.client() as client:
        tenant = Tenant(client)
    for _ in range(ROUNDS):
        clients = [installation.client() for _ in WORK]
        threads = [
            threading.Thread(target=disturbed, args=(work, client, tenant))
            for work, client in zip(WORK, clients, strict=True)
        ]
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0.0, 0.6))  # the moment of death, not a wait for anything
        installation.kill()
        for thread in threads:
            thread.join()
        for client in clients:
            client.close()
        installation.up()
    with installation.client() as client:
        servers = settled(client)
        check(installation, client, servers)


def settled(client: httpx2.Client) -> list[dict[str, Any]]:
    """The servers, once none is on its way any more."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        servers: list[dict[str, Any]] = client.get(f"{COMPUTE}/servers/detail").json()["servers"]
        moving = [s for s in servers if s["OS-EXT-STS:task_state"] or s["status"] == "BUILD"]
        if not moving:
            return servers
        assert time.monotonic() < deadline, f"stuck: {moving}"
        time.sleep(0.2)


def check(installation: Installation, client: httpx2.Client, servers: list[dict[str, Any]]) -> None:
    """Nothing is left that no server, port or image accounts for."""
    wrong = [s for s in servers if s["status"] not in ("ACTIVE", "ERROR")]
    assert wrong == []
    assert all("fault" in s for s in servers if s["status"] == "ERROR")
    alive = {s["id"] for s in servers if s["status"] == "ACTIVE"}
    ports = client.get(f"{NETWORK}/ports").json()["ports"]
    guests = [p["device_id"] for p in ports if p["device_owner"].startswith("compute:")]
    assert sorted(guests) == sorted(alive)
    assert allocations(client) == alive
    stored = [p for p in (installation.state_dir / "images").rglob("*") if p.is_file()]
    images = client.get(f"{IMAGE}/images", params={"limit": 100}).json()["images"]
    assert {i["status"] for i in images} <= {"active", "queued", "killed"}
    assert len(stored) == len([i for i in images if i["status"] == "active"])
    assert "agree" in installation.command("doctor").stdout


def allocations(client: httpx2.Client) -> set[str]:
    """The consumers of every provider."""
    found: set[str] = set()
    for provider in client.get("/placement/resource_providers").json()["resource_providers"]:
        path = f"/placement/resource_providers/{provider['uuid']}/allocations"
        found |= set(client.get(path).json()["allocations"])
    return found
