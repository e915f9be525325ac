# SPDX-License-Identifier: Apache-2.0
"""Network namespaces that play guests (and the world) on a real switch. Needs root."""

import asyncio
import ctypes
import hashlib
import os
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from octostack.base import clock
from octostack.engines.sdn import devices
from octostack.runtime.tasks import Supervisor
from octostack.wire.packets import dhcp, ethernet, ip

T = TypeVar("T")

COMMAND_TIMEOUT_S = 30.0


class Guest:
    """A namespace with one interface ``eth0``, whose other end is on a switch."""

    def __init__(self, key: str, interface: str, mac: str, host_netns: str = "") -> None:
        self.netns = "octoguest-" + hashlib.blake2b(key.encode(), digest_size=5).hexdigest()
        self.interface = interface
        self.mac = mac
        self.host_netns = host_netns  # where the switch is; here, if empty

    async def create(self, address: str = "", gateway: str = "", mtu: int = 1450) -> None:
        """Make it, with an address (CIDR) where DHCP shall not be asked."""
        await devices.ensure_netns(self.netns)
        peer = ("peer", "name", "eth0", "address", self.mac, "mtu", str(mtu), "netns", self.netns)
        await devices.ip("link", "add", self.interface, "mtu", str(mtu), "type", "veth", *peer)
        if self.host_netns:
            await devices.ip("link", "set", self.interface, "netns", self.host_netns)
        await devices.ip("link", "set", self.interface, "up", netns=self.host_netns)
        await devices.checksums_off_within(self.netns, "eth0")
        await devices.ip("link", "set", "eth0", "up", netns=self.netns)
        if address:
            await self.configure(address, gateway)

    async def configure(self, address: str, gateway: str = "") -> None:
        """Set its address and default route."""
        await devices.ip("addr", "replace", address, "dev", "eth0", netns=self.netns)
        if gateway:
            await devices.ip("route", "replace", "default", "via", gateway, netns=self.netns)

    async def remove(self) -> None:
        """Take it away."""
        if not self.host_netns:
            await devices.delete_link(self.interface)
        await devices.delete_netns(self.netns)

    async def run(self, *command: str, timeout_s: float = COMMAND_TIMEOUT_S) -> tuple[int, str]:
        """Run a command in it: (exit status, output)."""
        process = await asyncio.create_subprocess_exec(
            "ip",
            "netns",
            "exec",
            self.netns,
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(timeout_s):
            out, _ = await process.communicate()
        return process.returncode or 0, out.decode("utf-8", "replace")

    async def pings(self, address: str, count: int = 3) -> int:
        """How many of `count` pings were answered."""
        _, out = await self.run("ping", "-n", "-i", "0.2", "-W", "2", "-c", str(count), address)
        words = next((line for line in out.splitlines() if "received" in line), "0 x, 0").split()
        return int(words[3])

    async def within(self, do: Callable[[], T]) -> T:
        """Run a function in a thread that is inside the namespace."""
        return await asyncio.to_thread(inside, self.netns, do)

    async def connects(self, address: str, port: int, timeout_s: float = 3.0) -> bool:
        """Whether a TCP connection can be made and carries data both ways."""

        def attempt() -> bool:
            try:
                with socket.create_connection((address, port), timeout_s) as connection:
                    connection.sendall(b"ping\n")
                    return connection.recv(100) == b"ping\n"
            except OSError:
                return False

        return await self.within(attempt)

    async def echo_server(self, port: int) -> asyncio.Server:
        """A TCP server in it that sends back what it gets."""
        listening = await self.within(lambda: devices.listener("0.0.0.0", port))

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
            except OSError:
                pass
            finally:
                writer.close()

        return await asyncio.start_server(serve, sock=listening)

    async def lease(self, timeout_s: float = 5.0) -> dhcp.Message | None:
        """Discover and request as a DHCP client does; what was acknowledged, None for silence."""
        number = int(self.mac.replace(":", ""), 16)
        return await self.within(lambda: _ask_dhcp(number, timeout_s))


class Pings:
    """A stream of pings, ten a second, out of a namespace; which were answered is counted."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.answered: list[int] = []  # sequence numbers
        self._process = process
        self._news = asyncio.Event()
        self._reading = Supervisor("pings").spawn("pings", self._read())

    @classmethod
    async def start(cls, address: str, netns: str = "") -> "Pings":
        """Begin; by now at least one was answered. Raises TimeoutError."""
        inside = ("ip", "netns", "exec", netns) if netns else ()
        return await cls.read(*inside, "ping", "-n", "-i", "0.1", address)

    @classmethod
    async def read(cls, *command: str) -> "Pings":
        """The same of a command that prints what ping does."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        pings = cls(process)
        await pings.more()
        return pings

    async def more(self, count: int = 1, timeout_s: float = COMMAND_TIMEOUT_S) -> None:
        """Wait until so many more were answered. Raises TimeoutError."""
        wanted = len(self.answered) + count
        async with asyncio.timeout(timeout_s):
            while len(self.answered) < wanted:
                self._news.clear()
                await self._news.wait()

    async def stop(self) -> list[int]:
        """End it; the numbers of those before the last answer that were lost."""
        if self._process.returncode is None:  # else ping saw its device go
            self._process.terminate()  # SIGINT may be ignored here, and so by what is started
        await self._process.wait()
        await self._reading
        numbers = set(self.answered)
        return sorted({*range(min(numbers), max(numbers))} - numbers)

    async def _read(self) -> None:
        assert self._process.stdout
        while line := await self._process.stdout.readline():
            found = re.search(rb"seq=(\d+) ttl", line)
            if found:
                self.answered.append(int(found[1]))
                self._news.set()


@asynccontextmanager
async def own_namespace(name: str, *, keep: bool = False) -> AsyncIterator[None]:
    """The calling thread, and those the loop starts, in a new namespace: nothing of the machine's.

    It goes with the block, unless it is to be kept.

    Threads stay where they were made, so the loop gets new ones on the way in and out.
    """
    await devices.ensure_netns(name)
    before = os.open(devices.THIS_NETNS, os.O_RDONLY | os.O_CLOEXEC)
    loop = asyncio.get_running_loop()
    try:
        join(devices.NETNS_DIR / name)
        with ThreadPoolExecutor() as inside:
            loop.set_default_executor(inside)
            yield
    finally:
        join(f"/proc/self/fd/{before}")
        os.close(before)
        loop.set_default_executor(ThreadPoolExecutor())
        if not keep:
            await devices.delete_netns(name)


def join(place: Path | str) -> None:
    """Have this thread enter the network namespace that a path stands for."""
    fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(fd, devices.CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(fd)


def inside(netns: str, do: Callable[[], T]) -> T:
    """Run a function in a thread that is inside a namespace; waits for it."""
    result: list[T] = []

    def work() -> None:
        join(devices.NETNS_DIR / netns)
        result.append(do())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return result[0]


def _ask_dhcp(mac: int, timeout_s: float) -> dhcp.Message | None:
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ethernet.IPV4))
    with raw:
        raw.bind(("eth0", 0))
        raw.settimeout(timeout_s)
        offer = _converse(raw, mac, {dhcp.MESSAGE_TYPE: bytes((dhcp.DISCOVER,))}, timeout_s)
        if offer is None:
            return None
        request = {
            dhcp.MESSAGE_TYPE: bytes((dhcp.REQUEST,)),
            dhcp.REQUESTED_IP: offer.yours.to_bytes(4, "big"),
            dhcp.SERVER_ID: offer.options[dhcp.SERVER_ID],
        }
        return _converse(raw, mac, request, timeout_s)


def _converse(
    raw: socket.socket, mac: int, options: dict[int, bytes], timeout_s: float
) -> dhcp.Message | None:
    asked = dhcp.Message(op=dhcp.BOOTREQUEST, xid=0x1234, mac=mac, options=options)
    udp = ip.build_udp(0, 0xFFFFFFFF, ip.Udp(68, 67, dhcp.build(asked)))
    packet = ip.build(ip.Packet(0, 0xFFFFFFFF, ip.UDP, udp))
    raw.send(ethernet.build(ethernet.Frame(ethernet.BROADCAST, mac, ethernet.IPV4, packet)))
    deadline = clock.monotonic() + timeout_s
    while clock.monotonic() < deadline:
        try:
            frame = ethernet.parse(raw.recv(2048))
        except TimeoutError:
            return None
        parsed = ip.parse(frame.payload)
        if parsed.protocol == ip.UDP:
            datagram = ip.parse_udp(parsed)
            if (datagram.src, datagram.dst) == (67, 68):
                return dhcp.parse(datagram.payload)
    return None
