# SPDX-License-Identifier: Apache-2.0
"""What Network says now of the ports of servers, for showing them."""

from collections.abc import Sequence

import msgspec

from octostack.base.errors import Timeout, Unavailable, Unsupported
from octostack.contracts.network import PortAddresses, PortInfo
from octostack.services.compute.model import Nic, Server
from octostack.services.compute.store.app import App


async def fresh(
    app: App, found: Sequence[Server]
) -> tuple[list[Server], dict[str, tuple[str, ...]]]:
    """The servers with their addresses as they are now, and security group names by server.

    Where Network cannot be asked (or is of a version that cannot say), the addresses are those
    it told last.
    """
    # while it is built, what its boot wrote is as new as can be
    ids = tuple(s.id for s in found if s.vm_state != "building")
    if not ids:
        return list(found), {}
    try:
        ports = await app.network.list_addresses(ids)
    except (Unavailable, Timeout, Unsupported):
        return list(found), {}
    shown, groups = [], {}
    for server in found:
        mine = ports.get(server.id)
        if mine is not None:
            groups[server.id] = tuple(dict.fromkeys([n for p in mine for n in p.security_groups]))
        shown.append(server if mine is None else _with(server, mine))
    return shown, groups


def _with(server: Server, ports: Sequence[PortAddresses]) -> Server:
    nics = _arranged([_shown(port) for port in ports], server.nics)
    # most often nothing has changed, and a copy of forty fields takes longer than this
    return server if nics == server.nics else msgspec.structs.replace(server, nics=nics)


def nics_of(ports: Sequence[PortInfo], known: Sequence[Nic]) -> tuple[Nic, ...]:
    """Ports as NICs, in the order they were attached in; tags are kept by us alone."""
    return _arranged([nic_of(port) for port in ports], known)


def _arranged(nics: list[Nic], known: Sequence[Nic]) -> tuple[Nic, ...]:
    tags = {n.port_id: n.tag for n in known if n.tag} if nics else None
    if tags:
        nics = [msgspec.structs.replace(n, tag=tags.get(n.port_id, "")) for n in nics]
    if len(nics) > 1:
        place = {n.port_id: i for i, n in enumerate(known)}
        nics.sort(key=lambda n: place.get(n.port_id, len(place)))
    return tuple(nics)


def nic_of(port: PortInfo, tag: str = "") -> Nic:
    """What the row keeps of a port."""
    return Nic(
        port_id=port.id,
        network_id=port.network.id,
        network_name=port.network.name,
        mac=port.mac_address,
        fixed_ips=tuple((ip.address, ip.subnet.id) for ip in port.fixed_ips),
        floating_ips=tuple((ip.address, f) for ip in port.fixed_ips for f in ip.floating_ips),
        mtu=port.network.mtu,
        made_by_us=not port.preserve,
        tag=tag,
    )


def _shown(port: PortAddresses) -> Nic:
    return Nic(
        port_id=port.port_id,
        network_id=port.network_id,
        network_name=port.network_name,
        mac=port.mac_address,
        fixed_ips=port.fixed_ips,
        floating_ips=port.floating_ips,
        mtu=port.mtu,
        made_by_us=not port.preserve,
    )
