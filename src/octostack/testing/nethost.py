# SPDX-License-Identifier: Apache-2.0
"""A network agent as a process of its own, for a second host in a network namespace.

``python -m octostack.testing.nethost STATE_DIR HOST TUNNEL UNDERLAY [PHYSICAL]`` reads one intent
(JSON) per line and answers each with the state; ``remove`` takes the host away and ends.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from octostack.agents.network import service
from octostack.base import log
from octostack.base.errors import Unsupported
from octostack.contracts.network import AgentInfo, HostReport, Network
from octostack.contracts.network_agent import AppliedState, HostIntent, NetworkAgent
from octostack.engines.sdn import devices, ovs
from octostack.testing.virt import runtime

LINE_BYTES_MAX = 16 << 20
START_TIMEOUT_S = 60.0


class Nobody:
    """Network as agents know it: takes what they say, and does nothing with it."""

    def __getattr__(self, name: str) -> Callable[..., Awaitable[None]]:
        """What no agent asks for."""
        return _unasked

    async def register_agent(self, agent: AgentInfo) -> None:
        """Nobody asks."""

    async def report(self, report: HostReport) -> None:
        """Nobody asks."""


async def main(state_dir: Path, host: str, tunnel: str, underlay: str, *physical: str) -> None:
    """Serve until told to remove."""
    log.configure(level="warning")
    outside = {name: ovs.Outside() for name in physical}
    config = service.Config(host=host, tunnel=tunnel, underlay=underlay, outside=outside)
    async with runtime(state_dir) as made:
        await made.bus.serve(Network, Nobody())
        part = await service.build(made, config)
        await part.serve(made.bus)
        await part.begin(made)
        assert part.stop
        await _follow(made.bus.stub(NetworkAgent, instance=host))
        await part.stop()
    await ovs.remove(state_dir, host)


async def _follow(agent: NetworkAgent) -> None:
    """Hand on every intent that comes in, until the word to remove."""
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    _say(b"ready")
    while line := (await reader.readline()).strip():
        if line == b"remove":
            return
        state = await agent.apply(msgspec.json.decode(line, type=HostIntent))
        _say(msgspec.json.encode(state))


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


async def _unasked(*_: object) -> None:
    raise Unsupported("not asked by agents")


class HostProcess:
    """Such a process in a namespace, seen from a test."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, netns: str, *arguments: str) -> "HostProcess":
        """Start it; `arguments` as in the module's head."""
        # `ip netns exec` would hide the mounts it makes from everybody, and take them with it
        process = await asyncio.create_subprocess_exec(
            "nsenter",
            f"--net={devices.NETNS_DIR / netns}",
            sys.executable,
            "-m",
            "octostack.testing.nethost",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            limit=LINE_BYTES_MAX,
        )
        assert process.stdout
        async with asyncio.timeout(START_TIMEOUT_S):
            assert await process.stdout.readline() == b"ready\n"
        return cls(process)

    async def apply(self, intent: HostIntent) -> AppliedState:
        """Hand it an intent."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(msgspec.json.encode(intent) + b"\n")
        async with asyncio.timeout(START_TIMEOUT_S):
            line = await self._process.stdout.readline()
        return msgspec.json.decode(line, type=AppliedState)

    async def kill(self) -> None:
        """End it without a word."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()

    async def remove(self) -> None:
        """Have it take its host away."""
        if self._process.returncode is None:
            await self._process.communicate(b"remove\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
