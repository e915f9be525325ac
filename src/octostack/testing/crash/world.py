# SPDX-License-Identifier: Apache-2.0
"""What a user of the cloud has, and what must hold of it whenever nothing is on its way.

Every check asks two sides that a crash may have set at odds: servers and ports, servers and places
claimed, servers and what their hosts owe, images and files, floating addresses and flows.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import httpx2

from octostack.apps import asking
from octostack.apps.state import StateDir
from octostack.testing.crash.cloud import Cloud

COMPUTE, NETWORK, IMAGE = "/compute/v2.1", "/networking/v2.0", "/image/v2"
SETTLE_S = 60.0  # on a busy machine; most take a tenth of a second
POLL_S = 0.02


class World:
    """A network with a router to the outside, an image, a server that stays."""

    def __init__(self, cloud: Cloud, client: httpx2.Client) -> None:
        self.cloud = cloud
        self.client = client
        self.given_up: Callable[[], bool] = lambda: False  # no use in waiting any longer
        public = self.ask("GET", f"{NETWORK}/networks?router:external=true")["networks"][0]
        self.public = public["id"]
        self.network = self._made("network", name="n")
        self.subnet = self._made(
            "subnet", network_id=self.network, ip_version=4, cidr="10.9.0.0/24"
        )
        outside = {"network_id": self.public}
        self.router = self._made("router", name="r", external_gateway_info=outside)
        path = f"{NETWORK}/routers/{self.router}/add_router_interface"
        self.ask("PUT", path, json={"subnet_id": self.subnet})
        self.image = self.upload("base", 65536)
        flavors = self.ask("GET", f"{COMPUTE}/flavors/detail")["flavors"]
        self.flavor = min(flavors, key=lambda flavor: flavor["ram"])["id"]
        self.server = self.boot("base")
        self.settle()
        port = self.ask("GET", f"{NETWORK}/ports?device_id={self.server}")["ports"][0]
        self.port = port["id"]
        for group in port["security_groups"]:
            rule = {"security_group_id": group, "direction": "ingress", "protocol": "icmp"}
            self.ask("POST", f"{NETWORK}/security-group-rules", json={"security_group_rule": rule})

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """The answer's body. Raises httpx2.HTTPError when there is none or it says no."""
        answer = self.client.request(method, path, **options)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def boot(self, name: str) -> str:
        """Order a server."""
        order = {"name": name, "imageRef": self.image, "flavorRef": self.flavor,
                 "networks": [{"uuid": self.network}]}  # fmt: skip
        made = self.ask("POST", f"{COMPUTE}/servers", json={"server": order})
        return str(made["server"]["id"])

    def upload(self, name: str, size_bytes: int) -> str:
        """An image, its bytes sent in four parts."""
        order = {"name": name, "disk_format": "raw", "container_format": "bare"}
        image: str = self.ask("POST", f"{IMAGE}/images", json=order)["id"]
        parts = (b"x" * (size_bytes // 4) for _ in range(4))
        headers = {"content-type": "application/octet-stream"}
        self.ask("PUT", f"{IMAGE}/images/{image}/file", content=parts, headers=headers)
        return image

    def subnet_more(self) -> str:
        """Another network's subnet, for the router."""
        network = self._made("network", name="more")
        return self._subnet(network, "10.10.0.0/24")

    def servers(self) -> dict[str, dict[str, Any]]:
        """Every server by its id."""
        found = self.ask("GET", f"{COMPUTE}/servers/detail")["servers"]
        return {server["id"]: server for server in found}

    def settle(self) -> bool:
        """Until nothing is on its way: no task, no saga, no change that a host has to hear.

        Returns whether the world was `given_up` before that.
        """

        def quiet() -> Any:
            moving = [s for s in self.servers().values() if s["OS-EXT-STS:task_state"]]
            sagas = self._rows("compute_cell1", _OPEN_SAGAS)
            changes = self._rows("network", "SELECT kind, id FROM changes")
            images = self._rows("image", _UNFINISHED_IMAGES)
            return moving or sagas or changes or images

        return self._until(quiet, "it does not come to rest")

    def check(self) -> None:
        """Nothing is half done or left behind. Raises AssertionError that says what."""
        servers = self.servers()
        ends = {s["id"]: s["status"] for s in servers.values()}
        assert set(ends.values()) <= {"ACTIVE", "ERROR"}, ends
        assert all("fault" in s for s in servers.values() if s["status"] == "ERROR")
        alive = {server for server, status in ends.items() if status == "ACTIVE"}
        assert self.server in alive
        self._until(lambda: self._wrong_ports(alive), "ports")
        self._check_places(alive)
        self._until(lambda: self._wrong_machines(alive), "what hosts owe")
        self._check_images()
        self._check_router()
        self._until(self._wrong_floating, "floating addresses")
        self._check_tables()
        findings = self._control("GET", "/doctor")
        assert findings == [], findings

    def clean(self) -> None:
        """Take away all that rounds made; that must work whatever happened to it."""
        for server in self.servers().keys() - {self.server}:
            self.ask("DELETE", f"{COMPUTE}/servers/{server}")
        for found in self.ask("GET", f"{NETWORK}/floatingips")["floatingips"]:
            self.ask("DELETE", f"{NETWORK}/floatingips/{found['id']}")
        for image in self._images().keys() - {self.image}:
            self.ask("DELETE", f"{IMAGE}/images/{image}")
        for subnet in self._router_subnets() - {self.subnet}:
            path = f"{NETWORK}/routers/{self.router}/remove_router_interface"
            self.ask("PUT", path, json={"subnet_id": subnet})
        for network in self.ask("GET", f"{NETWORK}/networks?name=more")["networks"]:
            self.ask("DELETE", f"{NETWORK}/networks/{network['id']}")
        self._until(lambda: self.servers().keys() - {self.server}, "servers stay")
        self.settle()

    def _subnet(self, network: str, cidr: str) -> str:
        return self._made("subnet", network_id=network, ip_version=4, cidr=cidr)

    def _made(self, kind: str, **values: Any) -> str:
        made = self.ask("POST", f"{NETWORK}/{kind}s", json={kind: values})[kind]
        return str(made["id"])

    def _until(self, wrong: Callable[[], Any], what: str) -> bool:
        """Until `wrong` finds nothing; an answer that does not come counts as one."""
        until = time.monotonic() + SETTLE_S  # noqa: TID251 - of other processes
        while not self.given_up():
            try:
                found = wrong()
            except httpx2.HTTPError as error:
                found = repr(error)
            if not found:
                return False
            assert time.monotonic() < until, f"{what}: {found}"  # noqa: TID251
            time.sleep(POLL_S)
        return True

    def _wrong_ports(self, alive: set[str]) -> Any:
        ports = self.ask("GET", f"{NETWORK}/ports")["ports"]
        guests = [p for p in ports if p["device_owner"].startswith("compute:")]
        owners = sorted(p["device_id"] for p in guests)
        down = [p["id"] for p in guests if p["status"] != "ACTIVE"]
        return (owners if owners != sorted(alive) else None) or down

    def _check_places(self, alive: set[str]) -> None:
        held: list[str] = []
        for provider in self.ask("GET", "/placement/resource_providers")["resource_providers"]:
            path = f"/placement/resource_providers/{provider['uuid']}/allocations"
            held += self.ask("GET", path)["allocations"]
        assert sorted(held) == sorted(alive), f"places: {held} for {alive}"

    def _wrong_machines(self, alive: set[str]) -> Any:
        ledgers = (self.cloud.state_dir / "compute-agent").glob("*/machines/*")
        owed = sorted(path.name for path in ledgers)
        return None if owed == sorted(f"{server}.json" for server in alive) else owed

    def _images(self) -> dict[str, str]:
        images = self.ask("GET", f"{IMAGE}/images?limit=100")["images"]
        return {image["id"]: image["status"] for image in images}

    def _check_images(self) -> None:
        images = self._images()
        assert set(images.values()) <= {"active", "queued", "killed"}, images
        stored = [p for p in (self.cloud.state_dir / "images").rglob("*") if p.is_file()]
        active = [image for image, status in images.items() if status == "active"]
        assert len(stored) == len(active), f"files {stored} of images {images}"

    def _router_subnets(self) -> set[str]:
        owner = "network:router_interface"
        query = f"?device_id={self.router}&device_owner={owner}"
        ports = self.ask("GET", f"{NETWORK}/ports{query}")["ports"]
        return {fixed["subnet_id"] for port in ports for fixed in port["fixed_ips"]}

    def _check_router(self) -> None:
        query = "?device_owner=network:router_interface"
        ports = self.ask("GET", f"{NETWORK}/ports{query}")["ports"]
        assert {port["device_id"] for port in ports} == {self.router}
        assert all(port["fixed_ips"] for port in ports)
        gateways = self.ask("GET", f"{NETWORK}/ports?device_owner=network:router_gateway")["ports"]
        assert [port["device_id"] for port in gateways] == [self.router]

    def _wrong_floating(self) -> Any:
        """A packet from outside goes the server's way if and only if the address says so."""
        for found in self.ask("GET", f"{NETWORK}/floatingips")["floatingips"]:
            address = found["floating_ip_address"]
            ways = {way for host in _HOSTS for way in self._follow(host, address)}
            arrives = any(w == f"port:{self.port}" or w.startswith("tunnel:") for w in ways)
            if arrives != (found["port_id"] == self.port):
                return found
        owners = self.ask("GET", f"{NETWORK}/ports?device_owner=network:floatingip")["ports"]
        known = {f["id"] for f in self.ask("GET", f"{NETWORK}/floatingips")["floatingips"]}
        return [port["id"] for port in owners if port["device_id"] not in known]

    def _follow(self, host: str, address: str) -> list[str]:
        """Where the flows of a host send a ping from outside."""
        packet = {"from_external": "public", "src": "203.0.113.9", "dst": address}
        outputs: list[str] = self._control("POST", f"/hosts/{host}/trace", packet)["outputs"]
        return outputs

    def _control(self, method: str, path: str, body: Any = None) -> Any:
        return asyncio.run(asking.ask(StateDir(self.cloud.state_dir), method, path, body))

    def _check_tables(self) -> None:
        """What no API shows: references, and rows of one table that live by another's."""
        for name in ("identity", "image", "placement", "network", "compute_api", "compute_cell1"):
            assert self._rows(name, "PRAGMA foreign_key_check") == []
            assert self._rows(name, "PRAGMA quick_check") == [("ok",)]
        for name, question in _ORPHANS:
            assert self._rows(name, question) == [], question
        rows = self._rows("compute_cell1", "SELECT id FROM servers WHERE deleted_at IS NULL")
        mapped = self._rows("compute_api", "SELECT server_id FROM server_mappings")
        assert {*rows} <= {*mapped}, (rows, mapped)  # one without a row is swept away later

    def _rows(self, name: str, question: str) -> list[Any]:
        path = self.cloud.state_dir / "db" / f"{name}.db"
        connection = sqlite3.connect(path, timeout=30)
        try:
            return connection.execute(question).fetchall()
        finally:
            connection.close()


_HOSTS = ("sim-0001", "sim-0002")
_OPEN_SAGAS = "SELECT saga, subject, step FROM sagas WHERE status IN ('doing', 'undoing')"
_UNFINISHED_IMAGES = "SELECT id, status FROM images WHERE status IN ('saving', 'uploading')"
_ORPHANS = (
    ("network", "SELECT * FROM allocations WHERE port_id NOT IN (SELECT id FROM ports)"),
    ("network", "SELECT * FROM port_groups WHERE port_id NOT IN (SELECT id FROM ports)"),
    ("placement", "SELECT * FROM consumers WHERE id NOT IN (SELECT consumer_id FROM allocations)"),
    ("image", "SELECT * FROM staged_data"),
)
