# SPDX-License-Identifier: Apache-2.0
"""Subnet pools: their bounds, and which prefix a subnet is cut from."""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from octostack.services.network.model.faults import fault
from octostack.services.network.model.nouns import SubnetPool

Net: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
BITS = {4: 32, 6: 128}
MIN_DEFAULT = {4: 8, 6: 64}


def nets(prefixes: Iterable[str]) -> list[Net]:
    """Prefixes as values."""
    return [ipaddress.ip_network(prefix) for prefix in prefixes]


def compact(prefixes: Sequence[str]) -> tuple[list[str], int]:
    """Prefixes joined where they touch, with their IP version. Raises Invalid."""
    if not prefixes:
        raise fault("EmptySubnetPoolPrefixList")
    given = nets(prefixes)
    versions = {net.version for net in given}
    if len(versions) > 1:
        raise fault("PrefixVersionMismatch")
    version = versions.pop()
    # An address and a mask of the same version: collapse_addresses wants to be told so.
    joined = ipaddress.collapse_addresses(given)  # type: ignore[type-var]
    return [str(net) for net in joined], version


def bounds(values: dict[str, Any], version: int) -> dict[str, int]:
    """Smallest, largest and default prefix length, filled and checked. Raises Invalid."""
    bits = BITS[version]
    low = values.get("min_prefixlen", MIN_DEFAULT[version])
    high = values.get("max_prefixlen", bits)
    default = values.get("default_prefixlen", low)
    if "min_prefixlen" in values and low < (8 if version == 4 else 1):
        raise fault("UnsupportedMinSubnetPoolPrefix", prefix=low, version=version)
    for name, given in (("max_prefixlen", high), ("default_prefixlen", default)):
        if given > bits:
            raise _bounds(name, given, "max_prefixlen", bits)
    if low > high:
        raise _bounds("min_prefixlen", low, "max_prefixlen", high)
    if default < low:
        raise _bounds("default_prefixlen", default, "min_prefixlen", low)
    if default > high:
        raise _bounds("default_prefixlen", default, "max_prefixlen", high)
    return {"min_prefixlen": low, "max_prefixlen": high, "default_prefixlen": default}


def _bounds(kind: str, length: int, base: str, base_length: int) -> Exception:
    return fault(
        "IllegalSubnetPoolPrefixBounds",
        prefix_type=kind,
        prefixlen=length,
        base_prefix_type=base,
        base_prefixlen=base_length,
    )


def check_length(pool: SubnetPool, length: int) -> None:
    """Refuse a prefix length that the pool does not give. Raises Invalid."""
    if length < pool.min_prefixlen:
        raise fault(
            "MinPrefixSubnetAllocationError", prefixlen=length, min_prefixlen=pool.min_prefixlen
        )
    if length > pool.max_prefixlen:
        raise fault(
            "MaxPrefixSubnetAllocationError", prefixlen=length, max_prefixlen=pool.max_prefixlen
        )


def cut(pool: SubnetPool, used: Iterable[str], length: int) -> str:
    """The first free prefix of that length. Raises Unavailable when there is none."""
    check_length(pool, length)
    taken = sorted(_span(net) for net in nets(used))
    size = 1 << (BITS[pool.ip_version] - length)
    for prefix in nets(pool.prefixes):
        first, last = _span(prefix)
        at = first
        for start, end in taken:
            if end < at or start > last:
                continue
            if start >= at + size:
                break
            at = -(-(end + 1) // size) * size  # the next aligned place after what is taken
        if at + size - 1 <= last and prefix.prefixlen <= length:
            kind = ipaddress.IPv4Network if pool.ip_version == 4 else ipaddress.IPv6Network
            return str(kind((at, length)))
    raise fault(
        "SubnetAllocationError",
        reason=f"Insufficient prefix space to allocate subnet size /{length}",
    )


def check_free(pool: SubnetPool, used: Iterable[str], cidr: str) -> None:
    """Refuse a prefix that is not the pool's, or is taken. Raises Unavailable, Invalid."""
    net = ipaddress.ip_network(cidr)
    check_length(pool, net.prefixlen)
    inside = any(
        p.version == net.version and net.subnet_of(p)  # type: ignore[arg-type]
        for p in nets(pool.prefixes)
    )
    if not inside or any(other.overlaps(net) for other in nets(used)):
        raise fault(
            "SubnetAllocationError",
            reason="Cannot allocate requested subnet from the available set of prefixes",
        )


def quota_units(version: int, prefix_length: int) -> int:
    """What a subnet counts against a pool's quota: addresses for IPv4, /64s for IPv6."""
    return 1 << (32 - prefix_length) if version == 4 else max(1, 1 << max(0, 64 - prefix_length))


def overlap(ours: Iterable[str], theirs: Iterable[str]) -> bool:
    """True if a prefix of one list overlaps one of the other."""
    known = nets(theirs)
    return any(a.version == b.version and a.overlaps(b) for a in nets(ours) for b in known)


def covers(outer: Iterable[str], inner: Iterable[str]) -> bool:
    """True if every prefix of `inner` lies in one of `outer`."""
    known = nets(outer)
    return all(
        any(b.version == a.version and a.subnet_of(b) for b in known)  # type: ignore[arg-type]
        for a in nets(inner)
    )


def without(prefixes: Sequence[str], removed: Sequence[str]) -> list[str]:
    """The prefixes less those removed, cut where they must be."""
    left = nets(prefixes)
    for gone in nets(removed):
        parts: list[Net] = []
        for net in left:
            if net.subnet_of(gone):  # type: ignore[arg-type]
                continue
            if gone.subnet_of(net):  # type: ignore[arg-type]
                parts.extend(net.address_exclude(gone))  # type: ignore[arg-type]
            else:
                parts.append(net)
        left = parts
    return [str(net) for net in ipaddress.collapse_addresses(left)]  # type: ignore[type-var]


def _span(net: Net) -> tuple[int, int]:
    return int(net.network_address), int(net.broadcast_address)
