# SPDX-License-Identifier: Apache-2.0
"""Ports as the service itself makes, changes and removes them: no rule and no quota is asked."""

from typing import Any

import msgspec

from octostack.services.network.api import addresses
from octostack.services.network.api.app import Op
from octostack.services.network.model import nouns
from octostack.services.network.store import ports as port_rows
from octostack.services.network.store import routers, rows


async def make(op: Op, wanted: addresses.Wanted | None, **fields: Any) -> nouns.Port:
    """A port with addresses; `fields` in the row's names. No rule and no quota is asked."""
    network_id = fields["network_id"]
    fields["mac_address"] = await addresses.mac(op, network_id, fields.get("mac_address"))
    draft: nouns.Port = op.fresh(nouns.Port, **fields)
    chosen = await addresses.choose(op, network_id, draft, wanted)
    port = msgspec.structs.replace(draft, fixed_ips=addresses.shown(chosen))
    await rows.insert(op.tx, port)
    await port_rows.take(op.tx, chosen)
    if port.security_groups:
        await port_rows.set_groups(op.tx, port.id, port.security_groups)
    return port


async def change(op: Op, port: nouns.Port, **fields: Any) -> nouns.Port:
    """Write fields of a port, with the promises behind them."""
    changed: nouns.Port = op.stamped(port, **fields)
    await rows.update(op.tx, port, changed)
    if changed.security_groups != port.security_groups:
        await port_rows.set_groups(op.tx, port.id, changed.security_groups)
        for group_id in {*port.security_groups, *changed.security_groups}:
            await rows.note(op.tx, nouns.SecurityGroup, group_id)
    return changed


async def let_go(op: Op, floating: nouns.FloatingIp) -> nouns.FloatingIp:
    """A floating address leads nowhere any more."""
    changed: nouns.FloatingIp = op.stamped(
        floating, port_id=None, fixed_ip_address=None, router_id=None, status=nouns.DOWN
    )
    return await rows.update(op.tx, floating, changed)


async def remove(op: Op, port: nouns.Port) -> None:
    """Remove a port and let go the floating addresses that lead to it."""
    for floating in await routers.floating_of_ports(op.tx, [port.id]):
        await let_go(op, floating)
    await rows.delete(op.tx, port)
    for group_id in port.security_groups:
        await rows.note(op.tx, nouns.SecurityGroup, group_id)
