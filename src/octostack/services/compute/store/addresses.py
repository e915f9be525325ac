# SPDX-License-Identifier: Apache-2.0
"""What Network says now of the ports of servers, for showing them."""

from collections.abc import Sequence

import msgspec

from octostack.base.errors import Timeout, Unavailable
from octostack.contracts.network import PortInfo
from octostack.services.compute.model import Nic, Server
from octostack.services.compute.store.app import App


async def fresh(
    app: App, found: Sequence[Server]
) -> tuple[list[Server], dict[str, tuple[str, ...]]]:
    """The servers with their addresses as they are now, and security group names by server.

    Where Network cannot be asked, the addresses are those it told last.
    """
    # while it is built, what its boot wrote is as new as can be
    ids = tuple(s.id for s in found if s.vm_state != "building")
    if not ids:
        return list(found), {}
    try:
        ports = await app.network.list_ports(ids)
    except (Unavailable, Timeout):
        return list(found), {}
    shown, groups = [], {}
    for server in found:
        if server.id not in ports:
            shown.append(server)
            continue
        mine = ports.get(server.id, [])
        groups[server.id] = tuple(dict.fromkeys(n for p in mine for _, n in p.security_groups))
        shown.append(msgspec.structs.replace(server, nics=nics_of(mine, server.nics)))
    return shown, groups


def nics_of(ports: Sequence[PortInfo], known: Sequence[Nic]) -> tuple[Nic, ...]:
    """Ports as NICs, in the order they were attached in; tags are kept by us alone."""
    place = {n.port_id: i for i, n in enumerate(known)}
    tags = {n.port_id: n.tag for n in known}
    ordered = sorted(ports, key=lambda p: place.get(p.id, len(place)))
    return tuple(nic_of(p, tags.get(p.id, "")) for p in ordered)


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
