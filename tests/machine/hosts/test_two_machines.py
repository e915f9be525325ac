# SPDX-License-Identifier: Apache-2.0
"""A cloud over two machines, with a real guest on each: boots are dear, so one test does it all."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from octostack.testing import nats
from octostack.testing.guests import Pings
from octostack.testing.machines import PROCESSES, Machines, patiently, two_machines

pytestmark = [pytest.mark.anyio, pytest.mark.machine, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[3]
NET, COMPUTE, IMAGE = "/networking/v2.0", "/compute/v2.1", "/image/v2"


class Tenant:
    """A network behind a router, a guest on each machine, a floating address for each."""

    def __init__(self, machines: Machines, directory: Path) -> None:
        self.machines = machines
        self.key = directory / "key"
        self.servers: dict[str, str] = {}
        self.inside: dict[str, str] = {}
        self.floating: dict[str, str] = {}

    def make(self, guest: Path) -> None:
        """All of it; the guests begin to boot."""
        ask = self.machines.ask
        generate = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key))
        subprocess.run(generate, check=True)
        public = self.key.with_suffix(".pub").read_text()
        ask("POST", f"{COMPUTE}/os-keypairs", {"keypair": {"name": "k", "public_key": public}})
        self._image(guest)
        self._network()
        for host in ("one", "two"):
            self._server(host)

    def _image(self, guest: Path) -> None:
        image = {"name": "g", "disk_format": "qcow2", "container_format": "bare"}
        self.image = self.machines.ask("POST", f"{IMAGE}/images", image)["id"]
        content = guest.read_bytes()
        self.machines.ask("PUT", f"{IMAGE}/images/{self.image}/file", content=content)

    def _network(self) -> None:
        def make(kind: str, **values: Any) -> dict[str, Any]:
            path = f"{NET}/{kind.replace('_', '-')}s"
            made: dict[str, Any] = self.machines.ask("POST", path, {kind: values})[kind]
            return made

        self.network = make("network", name="n")["id"]
        subnet = make("subnet", network_id=self.network, ip_version=4, cidr="10.7.0.0/24")
        (public,) = self.machines.ask("GET", f"{NET}/networks?router:external=true")["networks"]
        outside = {"network_id": public["id"]}
        router = make("router", name="r", external_gateway_info=outside)["id"]
        feet = f"{NET}/routers/{router}/add_router_interface"
        self.machines.ask("PUT", feet, {"subnet_id": subnet["id"]})
        self.group = make("security_group", name="s")["id"]
        self.allow("tcp", 22)
        self.ping_rule = self.allow("icmp")
        for host in ("one", "two"):
            port = make("port", network_id=self.network, security_groups=[self.group])
            self.inside[host] = port["fixed_ips"][0]["ip_address"]
            address = make("floatingip", floating_network_id=public["id"], port_id=port["id"])
            self.floating[host] = address["floating_ip_address"]
            self.servers[host] = port["id"]

    def allow(self, protocol: str, port: int | None = None) -> str:
        """A rule that lets in; its id."""
        rule = {"security_group_id": self.group, "direction": "ingress", "protocol": protocol}
        rule |= {"port_range_min": port, "port_range_max": port} if port else {}
        path = f"{NET}/security-group-rules"
        made = self.machines.ask("POST", path, {"security_group_rule": rule})
        return str(made["security_group_rule"]["id"])

    def forbid(self, rule: str) -> None:
        """Take a rule away."""
        self.machines.ask("DELETE", f"{NET}/security-group-rules/{rule}")

    def _server(self, host: str) -> None:
        flavors = self.machines.ask("GET", f"{COMPUTE}/flavors/detail")["flavors"]
        server = {
            "name": f"guest-{host}",
            "imageRef": self.image,
            "flavorRef": min(flavors, key=lambda flavor: flavor["ram"])["id"],
            "networks": [{"port": self.servers[host]}],
            "key_name": "k",
            "host": host,
        }
        made = self.machines.ask("POST", f"{COMPUTE}/servers", {"server": server})
        self.servers[host] = made["server"]["id"]

    def status(self, host: str) -> str:
        """The status of its server, which is on the right machine."""
        path = f"{COMPUTE}/servers/{self.servers[host]}"
        server = self.machines.ask("GET", path)["server"]
        assert server["OS-EXT-SRV-ATTR:host"] in (host, None)
        return str(server["status"])

    def act(self, host: str, **action: Any) -> Any:
        """Do something with a server."""
        path = f"{COMPUTE}/servers/{self.servers[host]}/action"
        return self.machines.ask("POST", path, action)

    def console(self, host: str) -> str:
        """All that the guest said."""
        said: str = self.act(host, **{"os-getConsoleOutput": {}})["output"]
        return said

    def ssh(self, host: str, *command: str) -> tuple[str, ...]:
        """A command line that logs in by the floating address and does something."""
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": "5",
            "LogLevel": "ERROR",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
        }
        flags = [part for item in options.items() for part in ("-o", "=".join(item))]
        return ("ssh", "-tt", "-i", str(self.key), *flags, f"root@{self.floating[host]}", *command)

    async def logs_in(self, host: str) -> str:
        """The guest's name, by its own word."""
        for _ in patiently(f"ssh to {host}"):
            process = await asyncio.create_subprocess_exec(
                *self.ssh(host, "hostname"), stdout=asyncio.subprocess.PIPE
            )
            said, _ = await process.communicate()
            if process.returncode == 0:
                break
        return said.decode().strip()


@pytest.fixture(scope="module")
def guest() -> Path:
    for program in ("qemu-system-x86_64", "ovs-vswitchd", "ssh"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            pytest.skip(f"needs {program}")
    if os.geteuid() != 0:
        pytest.skip("needs root")
    nats.program()
    subprocess.run([ROOT / "tools/guest-image"], cwd=ROOT, check=True)
    return ROOT / ".cache/guest-image/guest.qcow2"


@pytest.fixture
def directory() -> Iterator[Path]:
    """Short, and where another user may be let through."""
    with tempfile.TemporaryDirectory(prefix="octo-two-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
async def machines(guest: Path, directory: Path) -> AsyncIterator[Machines]:
    async with two_machines(directory) as made:
        yield made


async def test_guests_on_two_machines(machines: Machines, guest: Path, directory: Path) -> None:
    tenant = Tenant(machines, directory)
    tenant.make(guest)
    for host in ("one", "two"):
        machines.until(f"{host} is ACTIVE", lambda host=host: tenant.status(host) == "ACTIVE")
    for host in ("one", "two"):
        machines.until(f"{host} has booted", lambda host=host: "login:" in tenant.console(host))
        said = tenant.console(host)
        assert "data source metadata-service" in said
        assert await tenant.logs_in(host) == f"guest-{host}"

    streams = {
        "out of the second's guest to the first's": await Pings.read(
            *tenant.ssh("two", "ping", "-i", "0.2", tenant.inside["one"])
        ),
        "out of the first's guest to the second's": await Pings.read(
            *tenant.ssh("one", "ping", "-i", "0.2", tenant.inside["two"])
        ),
        "from outside to the second's": await Pings.start(tenant.floating["two"]),
    }
    for process in PROCESSES:
        machines.kill(process)
        for stream in streams.values():
            await stream.more(5)
    until = {"killed": [stream.answered[-1] for stream in streams.values()]}
    for process in PROCESSES:
        machines.start(process)
    for process in PROCESSES:
        machines.processes[process].ready()
    until["back"] = [stream.answered[-1] for stream in streams.values()]
    for stream in streams.values():
        await stream.more(5)
    lost = {name: await stream.stop() for name, stream in streams.items()}
    assert lost == {name: [] for name in lost}, until

    tenant.forbid(tenant.ping_rule)
    machines.until("pings are not let in", lambda: not _pings(tenant.floating["two"]))
    tenant.allow("icmp")
    machines.until("pings are let in again", lambda: _pings(tenant.floating["two"]))

    tenant.act("two", **{"os-stop": None})  # the agent knows its guest again
    machines.until("two is off", lambda: tenant.status("two") == "SHUTOFF")
    assert tenant.status("one") == "ACTIVE"


def _pings(address: str) -> bool:
    done = subprocess.run(["ping", "-n", "-c1", "-W1", address], capture_output=True, check=False)
    return done.returncode == 0
