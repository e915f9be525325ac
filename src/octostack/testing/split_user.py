# SPDX-License-Identifier: Apache-2.0
"""A user of a cloud whose parts come and go."""

import time
from typing import Any

import httpx2

from octostack.testing.split import SplitCloud

WAIT_S = 240.0


class User:
    """The demo user's view: asks again when a part is away, as a client does."""

    def __init__(self, cloud: SplitCloud) -> None:
        self.cloud = cloud
        self.token = cloud.login()
        self.image = self.network = self.flavor = ""

    def ask(self, method: str, part: str, path: str, **options: Any) -> httpx2.Response:
        """The answer, once `part` is there: a kill is no answer."""
        headers = {"x-auth-token": self.token, "openstack-api-version": "compute 2.90"}
        headers.update(options.pop("headers", {}))
        until = time.monotonic() + WAIT_S  # noqa: TID251 - of other processes
        while True:
            try:
                answer = httpx2.request(
                    method, self.cloud.front + path, headers=headers, timeout=30, **options
                )
                if answer.status_code < 500 or time.monotonic() > until:  # noqa: TID251
                    return answer
            except httpx2.TransportError:
                assert time.monotonic() < until, f"{part} does not come back"  # noqa: TID251
            time.sleep(0.1)

    def get(self, part: str, path: str) -> Any:
        """The body of an answer that is 200."""
        answer = self.ask("GET", part, path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, part: str, path: str, body: Any) -> Any:
        """The body of an answer that says yes."""
        answer = self.ask("POST", part, path, json=body)
        assert answer.status_code in (200, 201, 202), answer.text
        return answer.json()

    def prepare(self) -> None:
        """An image, a network with a subnet, a flavor."""
        image = {"name": "tiny", "disk_format": "raw", "container_format": "bare"}
        self.image = self.post("image", "/image/v2/images", image)["id"]
        answer = self.ask(
            "PUT",
            "image",
            f"/image/v2/images/{self.image}/file",
            content=bytes(1 << 20),
            headers={"content-type": "application/octet-stream"},
        )
        assert answer.status_code == 204, answer.text
        net = {"network": {"name": "net"}}
        self.network = self.post("network", "/networking/v2.0/networks", net)["network"]["id"]
        subnet = {"network_id": self.network, "ip_version": 4, "cidr": "10.7.0.0/16"}
        self.post("network", "/networking/v2.0/subnets", {"subnet": subnet})
        flavors = self.get("compute", "/compute/v2.1/flavors/detail")["flavors"]
        self.flavor = min(flavors, key=lambda flavor: flavor["ram"])["id"]

    def boot(self, name: str) -> str:
        """Order a server; returns its id."""
        server = {
            "name": name,
            "imageRef": self.image,
            "flavorRef": self.flavor,
            "networks": [{"uuid": self.network}],
        }
        created = self.post("compute", "/compute/v2.1/servers", {"server": server})
        return str(created["server"]["id"])

    def servers(self) -> dict[str, str]:
        """Status by id."""
        found = self.get("compute", "/compute/v2.1/servers/detail")["servers"]
        return {server["id"]: server["status"] for server in found}

    def leftovers(self) -> dict[str, set[str]]:
        """What other parts keep for servers, by the server's id."""
        ports = self.get("network", f"/networking/v2.0/ports?network_id={self.network}")["ports"]
        held: set[str] = set()
        providers = self.get("placement", "/placement/resource_providers")["resource_providers"]
        for provider in providers:
            path = f"/placement/resource_providers/{provider['uuid']}/allocations"
            held |= set(self.get("placement", path)["allocations"])
        owners = {p["device_id"] for p in ports if p["device_owner"].startswith("compute:")}
        return {"ports": owners, "allocations": held}
