# SPDX-License-Identifier: Apache-2.0
"""Network devices of the kernel: taps by ioctl (a machine waits for one), the rest by ``ip``."""

import ctypes
import errno
import fcntl
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Mapping
from ipaddress import IPv4Interface
from pathlib import Path

from octostack.base.errors import NotFound, Unavailable
from octostack.engines.sdn import command, links

TUNSETIFF = 0x400454CA
TUNSETPERSIST = 0x400454CB
TUNSETOWNER = 0x400454CC
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
SIOCGIFMTU, SIOCSIFMTU = 0x8921, 0x8922
SIOCDARP = 0x8953
SIOCETHTOOL = 0x8946
ETHTOOL_STXCSUM = 0x17
IFF_UP = 1
ATF_COM = 2  # of an entry in the kernel's ARP table: complete
DISCARD_PORT = 9  # RFC 863
CLONE_NEWNET = 0x40000000
NETNS_DIR = Path("/run/netns")
ROUTES = Path("/proc/thread-self/net/route")
NEIGHBOURS = Path("/proc/thread-self/net/arp")
THIS_NETNS = Path("/proc/self/ns/net")
SETTINGS = Path("/proc/sys/net")  # ip-sysctl, of the network namespace of who asks
# A NIC in a bridge: ARP is answered for the device's own addresses only. By default the kernel does
# it for all of the machine's, and others take the NIC's MAC for that of the bridge that has them.
NIC = {"ipv4/conf/{}/arp_ignore": "1"}
# A guest's device, where the kernel has no business at all.
GUEST = {
    **NIC,
    "ipv4/conf/{}/drop_unicast_in_l2_multicast": "1",
    "ipv6/conf/{}/disable_ipv6": "1",
}
COMMAND_TIMEOUT_S = 10.0


def exists(name: str) -> bool:
    """Whether a device is there, in this network namespace."""
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def ensure_tap(name: str, mark: str, mtu: int, owner: int | None = None) -> None:
    """A persistent tap, up, that `owner` (a user id) may open; `mark` says whose it is.

    Raises Unavailable.
    """
    try:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    except OSError as e:
        raise Unavailable(f"no taps on this machine: {e}", code="device.tun") from e
    try:
        flags = IFF_TAP | IFF_NO_PI
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        if owner is not None:
            fcntl.ioctl(fd, TUNSETOWNER, owner)
        fcntl.ioctl(fd, TUNSETPERSIST, 1)
    except OSError as e:
        # a running machine holds its tap open: it is as it should be
        if not exists(name):
            raise Unavailable(f"cannot make tap {name}: {e}", code="device.tap") from e
    finally:
        os.close(fd)
    set_up(name, mtu)
    links.note(name, mark)


def list_marked(mark: str) -> list[str]:
    """The devices of this namespace with a mark."""
    return sorted(link.name for link in links.listed() if link.alias == mark)


def set_up(name: str, mtu: int = 0) -> None:
    """Bring a device up, with an MTU where one is given. Raises NotFound."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        try:
            if mtu:
                fcntl.ioctl(control, SIOCSIFMTU, struct.pack("16si12x", name.encode(), mtu))
            answer = fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16sH14x", name.encode(), 0))
            (flags,) = struct.unpack_from("H", answer, 16)
            request = struct.pack("16sH14x", name.encode(), flags | IFF_UP)
            fcntl.ioctl(control, SIOCSIFFLAGS, request)
        except OSError as e:
            raise NotFound(f"device {name}: {e}", code="device.missing") from e


def find_route(cidr: str) -> str:
    """The device that this machine's route to just that network leads to; empty: none."""
    wanted = IPv4Interface(cidr).network
    for line in ROUTES.read_text().splitlines()[1:]:
        words = line.split()
        # addresses are hexadecimal in the machine's own order
        base, mask = (int.from_bytes(bytes.fromhex(words[i]), sys.byteorder) for i in (1, 7))
        if (base, mask) == (int(wanted.network_address), int(wanted.netmask)):
            return words[0]
    return ""


def bears(name: str, cidr: str) -> bool:
    """Whether a device has an address, and with it the way to its network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(IPv4Interface(cidr).ip), 0))
        except OSError:
            return False
    return find_route(cidr) == name


def ask_for(address: str, device: str) -> None:
    """Have the kernel ask by ARP who has an address on a device, whatever it knows by now."""
    family = struct.pack("H2x4s8x", socket.AF_INET, socket.inet_aton(address))
    request = family + bytes(16) + struct.pack("i", 0) + bytes(16)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        try:
            fcntl.ioctl(sender, SIOCDARP, request + struct.pack("16s", device.encode()))
        except OSError as e:
            if e.errno not in (errno.ENXIO, errno.ENOENT):  # it knew nothing
                raise Unavailable(f"device {device}: {e}", code="device.arp") from e
    call_at(address)


def call_at(address: str) -> None:
    """Have the kernel ask who has an address unless it was told lately, and then only that one.

    Raises Unavailable.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        try:
            sender.sendto(b"", (address, DISCARD_PORT))
        except OSError as e:
            raise Unavailable(f"{address} is not reached: {e}", code="device.route") from e


def is_answered(address: str, device: str) -> bool:
    """Whether the kernel knows by ARP who has an address on a device."""
    rows = (line.split() for line in NEIGHBOURS.read_text().splitlines()[1:])
    known = ((row[0], row[5]) for row in rows if int(row[2], 16) & ATF_COM)
    return (address, device) in known


def delete_tap(name: str) -> None:
    """Take a tap away; none is no error, and a device of another kind stays.

    Raises Unavailable while a machine holds it.
    """
    if not exists(name):
        return
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        fcntl.ioctl(fd, TUNSETPERSIST, 0)
    except OSError as e:
        if e.errno != errno.EINVAL:
            raise Unavailable(f"tap {name} is in use: {e}", code="device.busy") from e
    finally:
        os.close(fd)


def restrain(name: str, settings: Mapping[str, str]) -> None:
    """Keep the kernel from answering by itself on a device that a userspace switch reads.

    Of every frame there it still has a copy. Nothing is written where all is so, because each write
    is news for who watches devices. Raises NotFound, Unavailable.
    """
    for setting, value in settings.items():
        path = Path(SETTINGS, setting.format(name))
        try:
            if path.read_text().strip() != value:
                path.write_text(value)
        except FileNotFoundError as e:
            if not exists(name):
                raise NotFound(f"device {name}: {e}", code="device.missing") from e
            # else a kernel without IPv6
        except OSError as e:
            raise Unavailable(f"device {name}: {e}", code="device.setting") from e


def checksums_off(name: str) -> None:
    """No offloaded checksums: a userspace switch passes them on unfilled, and TCP hangs."""
    value = ctypes.create_string_buffer(struct.pack("II", ETHTOOL_STXCSUM, 0))
    request = struct.pack("16sP16x", name.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        try:
            fcntl.ioctl(control, SIOCETHTOOL, request)
        except OSError as e:
            raise NotFound(f"device {name}: {e}", code="device.missing") from e


async def ip(*arguments: str, netns: str = "") -> str:
    """Run ``ip``; its output. Raises Unavailable with what it said."""
    inside = ("-n", netns) if netns else ()
    return await command.run("ip", *inside, *arguments, timeout_s=COMMAND_TIMEOUT_S)


async def ensure_netns(name: str) -> None:
    """A named network namespace with its loopback up."""
    path = NETNS_DIR / name
    if path.exists() and path.stat().st_dev == THIS_NETNS.stat().st_dev:
        return
    # a name without its namespace: who held the mount is gone
    path.unlink(missing_ok=True)
    await ip("netns", "add", name)
    await ip("link", "set", "lo", "up", netns=name)


async def delete_netns(name: str) -> None:
    """Take a namespace away with what is in it; none is no error."""
    if (NETNS_DIR / name).exists():
        await ip("netns", "del", name)


async def delete_link(name: str) -> None:
    """Take a device away; none is no error."""
    try:
        if exists(name):
            await ip("link", "del", name)
    except Unavailable:
        if exists(name):  # else it went with its peer's namespace meanwhile
            raise


def within(netns: str, do: Callable[[], socket.socket]) -> socket.socket:
    """Make a socket inside a namespace; it stays there whoever uses it. Raises Unavailable."""
    result: list[socket.socket] = []
    failure: list[OSError] = []

    def enter() -> None:
        # a namespace belongs to a thread: this one enters, makes the socket and ends
        try:
            fd = os.open(NETNS_DIR / netns, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
                result.append(do())
            finally:
                os.close(fd)
        except OSError as e:
            failure.append(e)

    thread = threading.Thread(target=enter, name=f"netns {netns}")
    thread.start()
    thread.join()
    if failure:
        raise Unavailable(f"namespace {netns}: {failure[0]}", code="device.netns") from failure[0]
    return result[0]


def listener(address: str, port: int) -> socket.socket:
    """A TCP socket that listens; with `within`, inside a namespace."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.setblocking(False)
    server.bind((address, port))
    server.listen(128)
    return server


async def checksums_off_within(netns: str, name: str) -> None:
    """`checksums_off` for a device in a namespace."""

    def off() -> socket.socket:
        checksums_off(name)
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    within(netns, off).close()
