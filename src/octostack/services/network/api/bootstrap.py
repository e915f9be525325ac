# SPDX-License-Identifier: Apache-2.0
"""What a new cloud has from the first: an external network, a pool, the default rules."""

import ipaddress

import msgspec

from octostack.contracts.identity import Caller
from octostack.services.network.api import networks, pools, subnets
from octostack.services.network.api.app import App, Op
from octostack.services.network.core import rules
from octostack.services.network.model import nouns
from octostack.services.network.schema.networks import NETWORKS
from octostack.services.network.schema.subnets import SUBNETPOOLS, SUBNETS
from octostack.services.network.store import groups, rows


class First(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to make. An empty name makes none of it."""

    external_name: str = "public"
    external_physical_network: str = "public"
    external_cidr: str = "172.24.4.0/24"
    external_gateway: str = "172.24.4.1"
    external_first: str = "172.24.4.10"
    external_last: str = "172.24.4.254"
    pool_name: str = "shared-default-subnetpool-v4"
    pool_prefixes: tuple[str, ...] = ("10.192.0.0/12",)
    pool_prefixlen: int = 26


async def make(app: App, first: First, project_id: str) -> None:
    """Make what a cloud without networks lacks; owned by the operators' project."""
    async with app.db.write() as tx:
        op = Op(app, tx, Caller(user_id="", project_id=project_id, roles=("admin",)))
        if not await groups.templates(tx):
            for fields in rules.first_templates():
                await rows.insert(tx, op.fresh(nouns.DefaultRule, project_id="", **fields))
            await _external(op, first, project_id)
            await _pool(op, first, project_id)
        tx.after_commit(app.wake)


async def _external(op: Op, first: First, project_id: str) -> None:
    if not first.external_name:
        return
    owner = {"project_id": project_id, "tenant_id": project_id}
    network = await networks.create(
        op,
        NETWORKS.parse_new(
            {
                **owner,
                "name": first.external_name,
                "router:external": True,
                "is_default": True,
                "provider:network_type": "flat",
                "provider:physical_network": first.external_physical_network,
            }
        ),
    )
    await subnets.create(
        op,
        SUBNETS.parse_new(
            {
                **owner,
                "name": f"{first.external_name}-subnet",
                "network_id": network.id,
                "ip_version": ipaddress.ip_network(first.external_cidr).version,
                "cidr": first.external_cidr,
                "gateway_ip": first.external_gateway,
                "allocation_pools": [{"start": first.external_first, "end": first.external_last}],
                "enable_dhcp": False,
            }
        ),
    )


async def _pool(op: Op, first: First, project_id: str) -> None:
    if not first.pool_name:
        return
    await pools.create(
        op,
        SUBNETPOOLS.parse_new(
            {
                "project_id": project_id,
                "tenant_id": project_id,
                "name": first.pool_name,
                "prefixes": list(first.pool_prefixes),
                "default_prefixlen": first.pool_prefixlen,
                "is_default": True,
                "shared": True,
            }
        ),
    )
