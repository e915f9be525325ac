# SPDX-License-Identifier: Apache-2.0
"""A network's DHCP server.

The switches answer DHCP themselves, on every host. The server's address still belongs to a port,
``network:dhcp``, one per network, with an address in each subnet that has DHCP on: so it is seen
where addresses are counted, and nobody else gets it.
"""

from octostack.base.errors import Conflict
from octostack.services.network.api import addresses, plumbing
from octostack.services.network.api.app import Op
from octostack.services.network.model import nouns
from octostack.services.network.store import networks
from octostack.services.network.store import ports as port_rows


async def tend(op: Op, network: nouns.Network) -> None:
    """Make the network's DHCP port have an address in each subnet with DHCP on, and no other."""
    wanted = [
        subnet
        for subnet in await networks.subnets_of(op.tx, network.id)
        if subnet.enable_dhcp and not network.external
    ]
    found = await port_rows.of_device(op.tx, _dhcp_device(network.id), nouns.OWNER_DHCP)
    if not wanted:
        for port in found:
            await plumbing.remove(op, port)
        return
    items = [{"subnet_id": subnet.id} for subnet in wanted]
    if found:
        fixed_ips, moved = await addresses.rechoose(op, found[0], items)
        if moved:
            await plumbing.change(op, found[0], fixed_ips=fixed_ips)
        return
    try:
        await plumbing.make(
            op,
            items,
            network_id=network.id,
            project_id=network.project_id,
            device_owner=nouns.OWNER_DHCP,
            device_id=_dhcp_device(network.id),
            port_security_enabled=False,
            status=nouns.ACTIVE,
        )
    except Conflict as e:
        # A subnet too small for a DHCP server of its own does without.
        if e.code != "IpAddressGenerationFailure":
            raise


def _dhcp_device(network_id: str) -> str:
    return f"dhcp-{network_id}"
