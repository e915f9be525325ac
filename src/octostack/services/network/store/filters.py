# SPDX-License-Identifier: Apache-2.0
"""Which rows a caller may see, and which a query asks for, as SQL conditions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from octostack.services.network.model import nouns
from octostack.services.network.store import tables

Clause = Any
SHARED = "access_as_shared"
EXTERNAL = "access_as_external"
_t = tables


def shared_ids(kind: str, project_id: str | None, *actions: str) -> Any:
    """A subquery: objects of a kind that are lent to a project, or to everybody."""
    p = _t.rbac_policies.c
    targets = ["*"] if project_id is None else ["*", project_id]
    return sa.select(p.object_id).where(
        p.object_type == kind, p.target_project.in_(targets), p.action.in_(actions or (SHARED,))
    )


def visible(noun: type[Any], project_id: str) -> Clause:
    """What a project may see: its own, what is lent to it, and what lives on its networks."""
    table = tables.OF[noun]
    own = table.c.project_id == project_id
    if noun is nouns.Network:
        return sa.or_(own, table.c.id.in_(shared_ids("network", project_id, SHARED, EXTERNAL)))
    if noun is nouns.Subnet:
        networks = sa.select(_t.networks.c.id).where(visible(nouns.Network, project_id))
        return sa.or_(own, table.c.network_id.in_(networks))
    if noun is nouns.Port:
        networks = sa.select(_t.networks.c.id).where(_t.networks.c.project_id == project_id)
        return sa.or_(own, table.c.network_id.in_(networks))
    if noun in _LENT:
        return sa.or_(own, table.c.id.in_(shared_ids(_LENT[noun], project_id)))
    if noun is nouns.SecurityGroupRule:
        groups = sa.select(_t.security_groups.c.id).where(visible(nouns.SecurityGroup, project_id))
        return sa.or_(own, table.c.security_group_id.in_(groups))
    if noun is nouns.DefaultRule:
        return sa.true()
    return own


_LENT: dict[type[Any], str] = {
    nouns.SecurityGroup: "security_group",
    nouns.SubnetPool: "subnetpool",
    nouns.AddressScope: "address_scope",
}


def wanted(
    noun: type[Any], filters: Mapping[str, Sequence[Any]], project_id: str | None
) -> list[Clause]:
    """The conditions of a query; a key is a column of the noun or one of `SPECIAL`."""
    table = tables.OF[noun]
    clauses = []
    for key, values in filters.items():
        special = SPECIAL.get((noun, key)) or SPECIAL.get((None, key))
        if special is not None:
            clauses.append(special(table, list(values), project_id))
        else:
            clauses.append(_equals(table.c[key], values))
    return clauses


def _equals(column: Any, values: Sequence[Any]) -> Clause:
    given = [value for value in values if value is not None]
    clause = column.in_(given)
    return sa.or_(column.is_(None), clause) if len(given) < len(values) else clause


def _tags_all(table: Any, values: list[str], _project: str | None) -> Clause:
    words = _words(values)
    return sa.and_(*(table.c.id.in_(_tagged([word])) for word in words))


def _tags_any(table: Any, values: list[str], _project: str | None) -> Clause:
    return table.c.id.in_(_tagged(_words(values)))


def _at(column: str) -> Callable[[Any, list[float], str | None], Clause]:
    """Times are shown to the second, so one second is asked for."""

    def clause(table: Any, values: list[float], _project: str | None) -> Clause:
        c = table.c[column]
        return sa.or_(*(sa.and_(c >= int(t), c < int(t) + 1) for t in values))

    return clause


def _since(table: Any, values: list[float], _project: str | None) -> Clause:
    return table.c.updated_at >= max(values)


def _negate(clause: Callable[[Any, list[Any], str | None], Clause]) -> Callable[..., Clause]:
    return lambda table, values, project: sa.not_(clause(table, values, project))


def _tagged(words: list[str]) -> Any:
    return sa.select(_t.tags.c.resource_id).where(_t.tags.c.tag.in_(words))


def _words(values: list[str]) -> list[str]:
    return [word for value in values for word in value.split(",")]


def _fixed_ips(table: Any, values: list[str], _project: str | None) -> Clause:
    """``fixed_ips=ip_address=10.0.0.5``; values of one key are alternatives, keys add up."""
    a = _t.allocations.c
    columns = {"ip_address": a.address, "subnet_id": a.subnet_id}
    by_key: dict[str, list[str]] = {}
    for value in values:
        key, _, given = value.partition("=")
        by_key.setdefault(key, []).append(given)
    clauses = []
    for key, wanted_values in by_key.items():
        if key == "ip_address_substr":
            matches = [a.address.contains(text, autoescape=True) for text in wanted_values]
            clauses.append(sa.or_(*matches))
        elif key in columns:
            clauses.append(columns[key].in_(wanted_values))
        else:
            return sa.false()
    return table.c.id.in_(sa.select(a.port_id).where(*clauses))


def _groups(table: Any, values: list[str], _project: str | None) -> Clause:
    g = _t.port_groups.c
    return table.c.id.in_(sa.select(g.port_id).where(g.security_group_id.in_(values)))


def _shared(kind: str, column: str = "id") -> Callable[[Any, list[bool], str | None], Clause]:
    def clause(table: Any, values: list[bool], project_id: str | None) -> Clause:
        lent = table.c[column].in_(shared_ids(kind, project_id))
        return sa.or_(*(lent if value else sa.not_(lent) for value in values))

    return clause


def _subnet_external(table: Any, values: list[bool], _project: str | None) -> Clause:
    networks = sa.select(_t.networks.c.id).where(_t.networks.c.external.in_(values))
    return table.c.network_id.in_(networks)


def _default_group(table: Any, values: list[bool], _project: str | None) -> Clause:
    g = _t.security_groups.c
    return table.c.security_group_id.in_(sa.select(g.id).where(g.is_default.in_(values)))


SPECIAL: dict[tuple[type[Any] | None, str], Callable[[Any, list[Any], str | None], Clause]] = {
    (None, "created_at"): _at("created_at"),
    (None, "updated_at"): _at("updated_at"),
    (None, "changed_since"): _since,
    (None, "tags"): _tags_all,
    (None, "tags-any"): _tags_any,
    (None, "not-tags"): _negate(_tags_all),
    (None, "not-tags-any"): _negate(_tags_any),
    (nouns.Port, "fixed_ips"): _fixed_ips,
    (nouns.Port, "security_groups"): _groups,
    (nouns.Network, "shared"): _shared("network"),
    (nouns.Subnet, "shared"): _shared("network", "network_id"),
    (nouns.Subnet, "router:external"): _subnet_external,
    (nouns.SecurityGroup, "shared"): _shared("security_group"),
    (nouns.SubnetPool, "shared"): _shared("subnetpool"),
    (nouns.AddressScope, "shared"): _shared("address_scope"),
    (nouns.SecurityGroupRule, "belongs_to_default_sg"): _default_group,
}
