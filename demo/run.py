# SPDX-License-Identifier: Apache-2.0
"""From nothing to a shell in a real guest, with the unmodified openstack client and ssh.

Each step is printed with its time. What exists already is kept, so a second run is short.
`--clean` removes at the end what was made and stops the cloud.
"""

import argparse
import ipaddress
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache"
GUEST = CACHE / "guest-image"
KEY = CACHE / "demo-key"
KNOWN_HOSTS = CACHE / "demo-known-hosts"
OPENSTACK = ROOT / ".venv-clients" / "bin" / "openstack"
OCTOSTACK = ROOT / ".venv" / "bin" / "octostack"
SSH_PATIENCE_S = 240  # a guest without hardware virtualisation on a busy machine
SUBNET = "192.168.77.0/24"
FIRST_MADE = (("image", "demo-image"), ("network", "demo-net"))
INSIDE = "hostname; uname -sr; uptime; ip -4 addr show scope global"


class Stop(Exception):
    """The demo cannot go on; the text says why and what to do."""


class Steps:
    """Numbers the steps and prints how long each took."""

    def __init__(self) -> None:
        self._number = 0
        self._started = time.monotonic()

    def __call__(self, title: str, act: Callable[[], str]) -> str:
        """Do one step; what it returns is shown beside its time, and returned."""
        self._number += 1
        print(f"[{self._number:2}] {title:<34}", end="", flush=True)
        started = time.monotonic()
        result = act()
        print(f"{time.monotonic() - started:7.1f} s  {result}", flush=True)
        return result

    def total_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started


class Client:
    """The unmodified openstack command, as the ordinary member `demo`."""

    def __init__(self, state_dir: Path) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("OS_")}
        self._environment = {**kept, "OS_CLIENT_CONFIG_FILE": str(state_dir / "clouds.yaml")}
        self._fresh = False

    def run(self, command: str) -> str:
        """Run a command line and return what it printed. Raises Stop with what it said."""
        argv = [str(OPENSTACK), "--os-cloud", "demo", *shlex.split(command)]
        done = subprocess.run(
            argv, env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Stop(f"openstack {command}\n{done.stderr.strip()}")
        return done.stdout.strip()

    def look(self) -> None:
        """See whether an earlier run left anything; if not, nothing need be looked up later."""
        left = [self.run(f"{kind} list --name {name} -f value") for kind, name in FIRST_MADE]
        self._fresh = not any(left)

    def ensure(self, kind: str, name: str, options: str) -> str:
        """The `kind` called `name`, made with `options` unless it exists; returns what was done."""
        if not self._fresh:
            try:
                self.run(f"{kind} show {name} -f value -c id")
                return f"{name} (was there)"
            except Stop:
                pass
        self.run(f"{kind} create {options} {name}")
        return name


def _build_guest() -> str:
    done = subprocess.run(
        [str(ROOT / "tools" / "guest-image"), str(GUEST)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Stop(f"the guest image could not be built:\n{done.stderr.strip()}")
    size_mib = (GUEST / "guest.qcow2").stat().st_size / 2**20
    return f"{size_mib:.1f} MiB"


def _octostack(*arguments: str) -> str:
    done = subprocess.run([str(OCTOSTACK), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Stop(f"octostack {' '.join(arguments)}\n{done.stdout}{done.stderr}".strip())
    return ""


def _up() -> str:
    """Start the cloud, unless an earlier run left it running."""
    running = subprocess.run([str(OCTOSTACK), "status"], capture_output=True, check=False)
    return "runs already" if running.returncode == 0 else _octostack("up", "--detach")


def _network(client: Client) -> str:
    done = client.ensure("network", "demo-net", "")
    client.ensure("subnet", "demo-subnet", f"--network demo-net --subnet-range {SUBNET}")
    return f"{done}, {SUBNET}"


def _router(client: Client) -> str:
    done = client.ensure("router", "demo-router", "")
    if "was there" not in done:
        client.run("router set --external-gateway public demo-router")
        client.run("router add subnet demo-router demo-subnet")
    return done


def _security_group(client: Client) -> str:
    done = client.ensure("security group", "demo-group", "")
    if "was there" not in done:
        client.run("security group rule create --protocol icmp demo-group")
        client.run("security group rule create --protocol tcp --dst-port 22 demo-group")
    return f"{done}: ping and ssh may come in"


def _keypair(client: Client) -> str:
    if not KEY.exists():
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "demo", "-f", str(KEY)],
            check=True,
        )
    return client.ensure("keypair", "demo-key", f"--public-key {KEY}.pub")


def _server(client: Client) -> str:
    what = "--image demo-image --flavor m1.nano --network demo-net"
    how = "--security-group demo-group --key-name demo-key --wait"
    return client.ensure("server", "demo-guest", f"{what} {how}")


def _floating_ip(client: Client) -> str:
    addresses = json.loads(client.run("server show demo-guest -f json -c addresses"))["addresses"]
    inside = ipaddress.ip_network(SUBNET)
    outside = [a for a in addresses.get("demo-net", []) if ipaddress.ip_address(a) not in inside]
    if outside:
        return str(outside[0])
    made = json.loads(client.run("floating ip create public -f json"))
    client.run(f"server add floating ip demo-guest {made['floating_ip_address']}")
    return str(made["floating_ip_address"])


def _ssh_command(address: str) -> list[str]:
    options = [
        "BatchMode=yes",
        "ConnectTimeout=5",
        "StrictHostKeyChecking=accept-new",
        f"UserKnownHostsFile={KNOWN_HOSTS}",
        "LogLevel=ERROR",
    ]
    flags = [part for option in options for part in ("-o", option)]
    return ["ssh", "-i", str(KEY), *flags, f"octo@{address}"]


def _log_in(client: Client, address: str) -> str:
    KNOWN_HOSTS.unlink(missing_ok=True)  # the address may have been another guest's before
    last = ""
    give_up = time.monotonic() + SSH_PATIENCE_S
    while time.monotonic() < give_up:
        done = subprocess.run(
            [*_ssh_command(address), INSIDE], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return done.stdout
        last = done.stderr.strip()
        time.sleep(1)
    console = client.run("console log show --lines 20 demo-guest")
    raise Stop(f"no ssh to {address}: {last}\nThe guest's console ends with:\n{console}")


def _check_machine() -> None:
    if os.geteuid():
        raise Stop(
            "A real guest on a real switch needs root. Either run it as root, or try\n"
            "    .venv/bin/octostack up --simulate 3\n"
            "which is the whole cloud with simulated hosts and needs nothing."
        )
    for program in ("qemu-system-x86_64", "ovs-vswitchd", "ssh"):
        path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        if not any((Path(directory) / program).exists() for directory in path.split(":")):
            raise Stop(f"{program} is missing: run `make setup` as root")


def _clean(client: Client, address: str) -> str:
    client.run("server delete --wait demo-guest")
    client.run(f"floating ip delete {address}")
    client.run("router remove subnet demo-router demo-subnet")
    client.run("router delete demo-router")
    client.run("network delete demo-net")
    client.run("security group delete demo-group")
    client.run("keypair delete demo-key")
    client.run("image delete demo-image")
    _octostack("down")
    return "nothing is left running"


def _next_things(state_dir: Path, address: str) -> str:
    return f"""
The cloud is up. Some things to try:
  export OS_CLIENT_CONFIG_FILE={state_dir}/clouds.yaml OS_CLOUD=demo
  {OPENSTACK} server list
  {OPENSTACK} console log show demo-guest
  {shlex.join(_ssh_command(address))}
  {OCTOSTACK} status
  {OCTOSTACK} down          # stops it all; `octostack up` finds it again
"""


def _demo(clean: bool) -> None:
    _check_machine()
    CACHE.mkdir(exist_ok=True)
    state_dir = Path(os.environ.get("OCTOSTACK_STATE_DIR") or "/var/lib/octostack")
    steps, client = Steps(), Client(state_dir)
    steps("build the guest image", _build_guest)
    steps("octostack up", lambda: _up() or str(state_dir))
    steps("log in", lambda: client.look() or "as demo, an ordinary member")
    disk = f"--disk-format qcow2 --container-format bare --file {GUEST}/guest.qcow2"
    steps("upload it as an image", lambda: client.ensure("image", "demo-image", disk))
    steps("network and subnet", lambda: _network(client))
    steps("router with gateway", lambda: _router(client))
    steps("security group", lambda: _security_group(client))
    steps("key pair", lambda: _keypair(client))
    steps("server, until it is ACTIVE", lambda: _server(client))
    address = steps("floating ip", lambda: _floating_ip(client))
    output = ""

    def log_in() -> str:
        nonlocal output
        output = _log_in(client, address)
        return "the guest answered"

    steps("ssh through the floating ip", log_in)
    print(f"\n$ ssh octo@{address} '{INSIDE}'\n{output}\n{steps.total_s():.1f} s in all")
    if clean:
        steps("clean up", lambda: _clean(client, address))
    else:
        print(_next_things(state_dir, address))


def main() -> int:
    """Run the demo; 1 with a message when it cannot go on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clean", action="store_true", help="remove all of it at the end")
    options = parser.parse_args()
    try:
        _demo(options.clean)
    except Stop as stop:
        print(f"\n\n{stop}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
