# SPDX-License-Identifier: Apache-2.0
"""The tables. A noun's fields are its table's columns, in their order; what a field's type does
not say (keys, references, indexes) is said here.

Besides a table per noun there are those that hold a promise: `allocations` (an address of a subnet
is given once), `macs` is a unique index of ports, `port_groups` (a group in use stays),
`default_groups` (a project has one default group), `tags` (to search by), and `changes`, the rows
that the hosts may have to hear of.
"""

from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import sqlalchemy as sa

from octostack.services.network.model import nouns

metadata = sa.MetaData()

_TYPES: dict[Any, Any] = {
    str: sa.String(255),
    bool: sa.Boolean(),
    int: sa.BigInteger(),
    float: sa.Float(),
}


def _column(name: str, hint: Any, *extra: Any) -> sa.Column[Any]:
    nullable = False
    if get_origin(hint) in (Union, UnionType):
        options = [arg for arg in get_args(hint) if arg is not NoneType]
        nullable, hint = True, options[0]
    kind = _TYPES.get(hint, sa.JSON())
    return sa.Column(name, kind, *extra, nullable=nullable, primary_key=name == "id")


def _table(
    name: str,
    noun: type[Any],
    *rest: Any,
    refer: dict[str, tuple[str, str]] | None = None,
    index: tuple[str, ...] = (),
) -> sa.Table:
    """`refer`: column to (table, what becomes of this row); `index`: columns to search by."""
    columns = []
    for field, hint in get_type_hints(noun).items():
        target = (refer or {}).get(field)
        extra = [sa.ForeignKey(f"{target[0]}.id", ondelete=target[1])] if target else []
        columns.append(_column(field, hint, *extra))
    indexes = [sa.Index(f"{name}_{column}", column) for column in ("project_id", *index)]
    return sa.Table(name, metadata, *columns, *indexes, *rest)


PORTS_TOLD = sa.Index("ports_told", "told", "status")
networks = _table(
    "networks",
    nouns.Network,
    # A segment carries one network. 0 stands for "has none", so flat networks are caught as well.
    sa.Index(
        "networks_segment",
        "network_type",
        "physical_network",
        "segmentation_id",
        unique=True,
    ),
)
subnets = _table(
    "subnets",
    nouns.Subnet,
    refer={"network_id": ("networks", "RESTRICT")},
    index=("network_id", "subnetpool_id"),
)
subnetpools = _table("subnetpools", nouns.SubnetPool, index=("address_scope_id",))
address_scopes = _table("address_scopes", nouns.AddressScope)
ports = _table(
    "ports",
    nouns.Port,
    sa.Index("ports_mac", "network_id", "mac_address", unique=True),
    sa.Index("ports_request", "device_id", "request_key"),
    PORTS_TOLD,
    refer={"network_id": ("networks", "RESTRICT")},
    index=("host", "device_owner", "created_at"),
)
routers = _table("routers", nouns.Router, index=("gateway_network_id",))
floatingips = _table(
    "floatingips",
    nouns.FloatingIp,
    sa.Index("floatingips_fixed", "port_id", "fixed_ip_address"),
    refer={"floating_network_id": ("networks", "RESTRICT")},
    index=("router_id", "floating_port_id", "floating_network_id"),
)
security_groups = _table("security_groups", nouns.SecurityGroup)
security_group_rules = _table(
    "security_group_rules",
    nouns.SecurityGroupRule,
    refer={"security_group_id": ("security_groups", "CASCADE")},
    index=("security_group_id", "remote_group_id"),
)
default_rules = _table("default_rules", nouns.DefaultRule)
rbac_policies = _table(
    "rbac_policies",
    nouns.RbacPolicy,
    sa.UniqueConstraint("object_type", "object_id", "target_project", "action"),
    index=("object_id",),
)
agents = _table("agents", nouns.Agent, sa.UniqueConstraint("host"))

allocations = sa.Table(
    "allocations",
    metadata,
    sa.Column("subnet_id", sa.ForeignKey("subnets.id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("number", sa.String(32), primary_key=True),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("port_id", sa.ForeignKey("ports.id", ondelete="CASCADE"), nullable=False),
    sa.Column("network_id", sa.String(36), nullable=False),
    sa.Index("allocations_port", "port_id"),
    sa.Index("allocations_address", "address", "network_id"),
)
port_groups = sa.Table(
    "port_groups",
    metadata,
    sa.Column("port_id", sa.ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True),
    sa.Column(
        "security_group_id",
        sa.ForeignKey("security_groups.id", ondelete="RESTRICT"),
        primary_key=True,
    ),
    sa.Index("port_groups_group", "security_group_id"),
)
default_groups = sa.Table(
    "default_groups",
    metadata,
    sa.Column("project_id", sa.String(255), primary_key=True),
    sa.Column(
        "security_group_id",
        sa.ForeignKey("security_groups.id", ondelete="CASCADE"),
        nullable=False,
    ),
)
tags = sa.Table(
    "tags",
    metadata,
    sa.Column("resource_id", sa.String(36), primary_key=True),
    sa.Column("tag", sa.String(255), primary_key=True),
    sa.Index("tags_tag", "tag"),
)
quotas = sa.Table(
    "quotas",
    metadata,
    sa.Column("project_id", sa.String(255), primary_key=True),
    sa.Column("resource", sa.String(64), primary_key=True),
    sa.Column("size_max", sa.BigInteger, nullable=False),
)
auto_topologies = sa.Table(
    "auto_topologies",
    metadata,
    sa.Column("project_id", sa.String(255), primary_key=True),
    sa.Column("network_id", sa.String(36), nullable=False),
    sa.Column("router_id", sa.String(36), nullable=False),
)
changes = sa.Table(
    "changes",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("id", sa.String(36), nullable=False),
)

OF: dict[type[Any], sa.Table] = {
    nouns.Network: networks,
    nouns.Subnet: subnets,
    nouns.SubnetPool: subnetpools,
    nouns.AddressScope: address_scopes,
    nouns.Port: ports,
    nouns.Router: routers,
    nouns.FloatingIp: floatingips,
    nouns.SecurityGroup: security_groups,
    nouns.SecurityGroupRule: security_group_rules,
    nouns.DefaultRule: default_rules,
    nouns.RbacPolicy: rbac_policies,
    nouns.Agent: agents,
}
