# SPDX-License-Identifier: Apache-2.0
"""A cloud of simulated hosts for one measurement, and an HTTP client."""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.measure import cpu_s
from benchmarks.plain import Connection

COMMAND = Path(sys.executable).with_name("octostack")
JSON = dict[str, Any]
COMPUTE_VERSION = {"OpenStack-API-Version": "compute 2.96"}


class Bench:
    """One cloud: where it is, and how to talk to it."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.pid = 0
        self.url = ""
        self._passwords: dict[str, str] = {}

    def cpu_s(self) -> float:
        """The processor time that the cloud has taken since it began."""
        return cpu_s(self.pid)

    def command(self, *arguments: str) -> str:
        """Run `octostack` on this cloud and return what it printed."""
        done = subprocess.run(
            [str(COMMAND), *arguments, "--state-dir", str(self.state_dir)],
            check=True,
            capture_output=True,
            text=True,
            start_new_session=True,  # Ctrl-C is for us: what was begun is finished, then undone
        )
        return done.stdout

    def up(self, hosts: int) -> None:
        """Start it with so many simulated hosts and learn where it is."""
        self.command("up", "--detach", "--simulate", str(hosts), "--port", "0")
        told = json.loads(self.command("status", "--json"))
        self.pid, self.url = told["pid"], told["url"]
        clouds = json.loads((self.state_dir / "clouds.yaml").read_text())["clouds"]
        self._passwords = {c["auth"]["username"]: c["auth"]["password"] for c in clouds.values()}

    def down(self) -> None:
        """Stop it."""
        self.command("down")

    def login_body(self, user: str = "admin") -> JSON:
        """The body of a login with password for the project of the same name."""
        domain = {"id": "default"}
        who = {"name": user, "domain": domain, "password": self._passwords[user]}
        return {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": who}},
                "scope": {"project": {"name": user, "domain": domain}},
            }
        }

    async def token(self, client: httpx2.AsyncClient, user: str = "admin") -> str:
        """Log in."""
        answer = await client.post("/identity/v3/auth/tokens", json=self.login_body(user))
        answer.raise_for_status()
        return str(answer.headers["x-subject-token"])


@asynccontextmanager
async def cloud(hosts: int) -> AsyncIterator[Bench]:
    """A new cloud of `hosts` simulated hosts, gone afterwards."""
    bench = Bench(Path(tempfile.mkdtemp(prefix="octo-bench-")))
    try:
        await to_its_end(bench.up, hosts)
        yield bench
    finally:
        await asyncio.to_thread(bench.down)
        shutil.rmtree(bench.state_dir)


async def to_its_end(work: Callable[..., Any], *args: Any) -> None:
    """``work(*args)`` in a thread; who is cancelled meanwhile waits for its end all the same."""
    running = asyncio.get_running_loop().run_in_executor(None, work, *args)
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


@asynccontextmanager
async def client(bench: Bench, user: str = "admin") -> AsyncIterator[httpx2.AsyncClient]:
    """An HTTP client that is logged in, with the newest microversions."""
    limits = httpx2.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx2.AsyncClient(
        base_url=bench.url, headers=COMPUTE_VERSION, timeout=120, limits=limits
    ) as made:
        made.headers["x-auth-token"] = await bench.token(made, user)
        yield made


def plain(
    bench: Bench, http: httpx2.AsyncClient, headers: Mapping[str, str] | None = None
) -> Connection:
    """A connection of the light kind, logged in as `http` is."""
    common = {"X-Auth-Token": http.headers["x-auth-token"], **COMPUTE_VERSION}
    return Connection(bench.url, {**common, **(headers or {})})


async def image_and_flavor(http: httpx2.AsyncClient) -> tuple[str, str]:
    """A small image and a flavor of one MiB."""
    image = {"name": "bench", "disk_format": "raw", "container_format": "bare"}
    made = (await http.post("/image/v2/images", json=image)).raise_for_status().json()["id"]
    data = {"content": b"\0" * 4096, "headers": {"content-type": "application/octet-stream"}}
    (await http.put(f"/image/v2/images/{made}/file", **data)).raise_for_status()
    flavor = {"flavor": {"name": "bench", "ram": 1, "vcpus": 1, "disk": 0}}
    answer = (await http.post("/compute/v2.1/flavors", json=flavor)).raise_for_status()
    return made, answer.json()["flavor"]["id"]


async def no_quota(http: httpx2.AsyncClient, project: str = "admin") -> None:
    """Lift the quotas that a measurement would meet."""
    found = await http.get("/identity/v3/projects", params={"name": project})
    project_id = found.raise_for_status().json()["projects"][0]["id"]
    compute = {"quota_set": {"instances": -1, "cores": -1, "ram": -1, "force": True}}
    network = {"quota": {"port": -1, "network": -1}}
    (await http.put(f"/compute/v2.1/os-quota-sets/{project_id}", json=compute)).raise_for_status()
    (await http.put(f"/networking/v2.0/quotas/{project_id}", json=network)).raise_for_status()


async def network(http: httpx2.AsyncClient, cidr: str) -> str:
    """A network with one subnet."""
    made = await http.post("/networking/v2.0/networks", json={"network": {"name": "bench"}})
    network_id: str = made.raise_for_status().json()["network"]["id"]
    subnet = {"network_id": network_id, "ip_version": 4, "cidr": cidr}
    (await http.post("/networking/v2.0/subnets", json={"subnet": subnet})).raise_for_status()
    return network_id
