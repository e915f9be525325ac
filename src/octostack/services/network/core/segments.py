# SPDX-License-Identifier: Apache-2.0
"""What carries a network: a VXLAN identifier, or a physical network with or without a VLAN."""

from typing import Any

import msgspec

from octostack.services.network.core.ipam import Rng
from octostack.services.network.core.subnets import wrong

TYPES = ("vxlan", "flat", "vlan")
VXLAN_OVERHEAD_BYTES = 50
VNI_MAX = (1 << 24) - 1


class Fabric(msgspec.Struct, frozen=True, kw_only=True):
    """What the installation offers to networks."""

    vni_first: int = 1
    vni_last: int = 65535
    vlan_first: int = 1
    vlan_last: int = 4094
    physical_networks: tuple[str, ...] = ("public",)
    underlay_mtu: int = 1500


def check_provider(values: dict[str, Any], fabric: Fabric) -> dict[str, Any]:
    """The provider attributes of a new network, checked; segmentation_id 0: to be chosen.

    `values` has network_type, physical_network and segmentation_id where they were given.
    Raises Invalid.
    """
    kind = values.get("network_type")
    physical = values.get("physical_network") or ""
    segment = values.get("segmentation_id")
    if kind is None:
        if physical or segment is not None:
            raise wrong("network_type required")
        return {"network_type": "vxlan", "physical_network": "", "segmentation_id": 0}
    if kind not in TYPES:
        raise wrong(f"network_type value '{kind}' not supported")
    if kind in ("flat", "vlan"):
        if not physical:
            raise wrong(f"physical_network required for {kind} provider network")
        if physical not in fabric.physical_networks:
            raise wrong(f"physical_network '{physical}' unknown for {kind} provider network")
    elif physical:
        raise wrong(f"provider:physical_network specified for {kind} network")
    _check_segment(kind, segment)
    return {"network_type": kind, "physical_network": physical, "segmentation_id": segment or 0}


def _check_segment(kind: str, segment: int | None) -> None:
    if kind == "flat" and segment is not None:
        raise wrong(f"provider:segmentation_id specified for {kind} network")
    if kind == "vlan" and segment is not None and not 1 <= segment <= 4094:
        raise wrong(f"segmentation_id out of range (1 through 4094): {segment}")
    if kind == "vxlan" and segment is not None and not 1 <= segment <= VNI_MAX:
        raise wrong(f"segmentation_id out of range (1 through {VNI_MAX}): {segment}")


def span(kind: str, fabric: Fabric) -> tuple[int, int]:
    """First and last segment that may be chosen for a network of that type; (0, 0) for none."""
    if kind == "vxlan":
        return fabric.vni_first, fabric.vni_last
    return (fabric.vlan_first, fabric.vlan_last) if kind == "vlan" else (0, 0)


def guess(kind: str, fabric: Fabric, rng: Rng) -> int:
    """A segment to try."""
    first, last = span(kind, fabric)
    return first + rng.randrange(last - first + 1)


def mtu_max(kind: str, fabric: Fabric) -> int:
    """The largest packet that a network of that type carries."""
    return fabric.underlay_mtu - (VXLAN_OVERHEAD_BYTES if kind == "vxlan" else 0)


def check_mtu(mtu: int, kind: str, fabric: Fabric) -> int:
    """The network's MTU; 0 is the largest. Raises Invalid."""
    most = mtu_max(kind, fabric)
    if mtu > most:
        raise wrong(f"Requested MTU is too big, maximum is {most}")
    if mtu and mtu < 68:
        raise wrong("Requested MTU is too small, minimum is 68")
    return mtu or most
