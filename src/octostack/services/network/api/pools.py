# SPDX-License-Identifier: Apache-2.0
"""Subnet pools and address scopes; which range a new subnet has."""

from collections.abc import Sequence
from typing import Any

from octostack.runtime.http import Request
from octostack.services.network.api import lending
from octostack.services.network.api.app import App, Op, owned
from octostack.services.network.api.behaviour import Behaviour, Values
from octostack.services.network.core import prefixes
from octostack.services.network.model import nouns
from octostack.services.network.model.faults import fault
from octostack.services.network.schema import types
from octostack.services.network.schema.resource import UNSET, bad, invalid, to_fields
from octostack.services.network.schema.subnets import ADDRESS_SCOPES, SUBNETPOOLS
from octostack.services.network.store import filters, networks, rows

_BOUNDS = ("min_prefixlen", "max_prefixlen", "default_prefixlen")


async def range_for(op: Op, network: nouns.Network, values: Values) -> tuple[str, str | None]:
    """The range of a new subnet and the pool it is cut from. Raises Invalid, NotFound."""
    cidr = _set(values["cidr"])
    pool_id = _set(values["subnetpool_id"])
    if pool_id == "prefix_delegation":
        raise invalid("prefix delegation is not offered here")
    if values["use_default_subnetpool"] and not pool_id:
        default = await networks.default_pool(op.tx, values["ip_version"])
        if default is None:
            raise fault(
                "BadRequest",
                resource="subnets",
                msg=f"No default pool available for IPv{values['ip_version']}",
            )
        pool_id = default.id
    if not pool_id:
        if cidr is None:
            raise fault(
                "BadRequest",
                resource="subnets",
                msg="a subnetpool must be specified in the absence of a cidr",
            )
        await _check_affinity(op, network, None, values["ip_version"])
        return cidr, None
    pool = await _usable_pool(op, pool_id)
    _check_pool_request(pool, values, cidr)
    await _check_affinity(op, network, pool, values["ip_version"])
    return await _cut(op, pool, values, cidr), pool.id


def _set(value: Any) -> Any:
    return None if value is UNSET else value


async def _usable_pool(op: Op, pool_id: str) -> nouns.SubnetPool:
    pool = await rows.find(op.tx, nouns.SubnetPool, pool_id)
    lent = pool is not None and await networks.is_lent(op.tx, pool.id, op.caller.project_id)
    if pool is None or not (op.sees_all or lent or pool.project_id == op.caller.project_id):
        raise fault("SubnetPoolNotFound", subnetpool_id=pool_id)
    return pool


def _check_pool_request(pool: nouns.SubnetPool, values: Values, cidr: str | None) -> None:
    if pool.ip_version != values["ip_version"]:
        raise fault(
            "BadRequest",
            resource="subnets",
            msg=f"Cannot allocate IPv{values['ip_version']} subnet from IPv{pool.ip_version} "
            "subnet pool",
        )
    if cidr and values["prefixlen"] is not UNSET:
        raise fault(
            "BadRequest",
            resource="subnets",
            msg="cidr and prefixlen must not be supplied together",
        )
    if not cidr and values["allocation_pools"] is not UNSET:
        raise fault(
            "BadRequest",
            resource="subnets",
            msg="allocation_pools allowed only for specific subnet requests.",
        )


async def _check_affinity(
    op: Op, network: nouns.Network, pool: nouns.SubnetPool | None, version: int
) -> None:
    """Subnets of one network and IP version come from one pool, or from none."""
    for other in await networks.subnets_of(op.tx, network.id):
        if other.ip_version == version and other.subnetpool_id != (pool.id if pool else None):
            raise fault("NetworkSubnetPoolAffinityError")


async def _cut(op: Op, pool: nouns.SubnetPool, values: Values, cidr: str | None) -> str:
    used = await networks.of_pool(op.tx, pool.id)
    taken = [subnet.cidr for subnet in used]
    if cidr:
        prefixes.check_free(pool, taken, cidr)
        chosen = cidr
    else:
        length = values["prefixlen"]
        chosen = prefixes.cut(pool, taken, pool.default_prefixlen if length is UNSET else length)
    if pool.default_quota is not None:
        mine = [s.cidr for s in used if s.project_id == values["project_id"]]
        units = [
            prefixes.quota_units(pool.ip_version, net.prefixlen)
            for net in prefixes.nets([*mine, chosen])
        ]
        if sum(units) > pool.default_quota:
            raise fault("SubnetPoolQuotaExceeded")
    return chosen


async def create(op: Op, values: Values) -> nouns.SubnetPool:
    """A pool of prefixes."""
    fields = to_fields(SUBNETPOOLS, values)
    fields["prefixes"], version = prefixes.compact(fields["prefixes"])
    fields |= {"ip_version": version, **prefixes.bounds(fields, version)}
    if fields["is_default"]:
        await _check_only_default(op, version)
    pool: nouns.SubnetPool = op.fresh(nouns.SubnetPool, **fields)
    if pool.address_scope_id:
        await _check_scope(op, pool, values["shared"])
    await rows.insert(op.tx, pool)
    if values["shared"]:
        await lending.lend(op, "subnetpool", pool, filters.SHARED)
    return pool


async def _check_only_default(op: Op, version: int, but: str = "") -> None:
    known = await networks.default_pool(op.tx, version)
    if known is not None and known.id != but:
        raise invalid(
            "A default subnetpool for this IP family has already been set. Only one default may "
            "exist per IP family"
        )


async def _check_scope(op: Op, pool: nouns.SubnetPool, shared: bool) -> None:
    """A pool may be in a scope of its owner's, of its IP version, overlapping no other there."""
    scope_id = pool.address_scope_id or ""
    scope = await rows.find(op.tx, nouns.AddressScope, scope_id)
    lent = scope is not None and await networks.is_lent(op.tx, scope_id, op.caller.project_id)
    if scope is None or not (op.sees_all or lent or scope.project_id == op.caller.project_id):
        raise fault("AddressScopeNotFound", address_scope_id=scope_id)
    if not (lent or scope.project_id == pool.project_id) or (shared and not lent):
        raise fault(
            "IllegalSubnetPoolAssociationToAddressScope",
            subnetpool_id=pool.id,
            address_scope_id=scope_id,
        )
    if scope.ip_version != pool.ip_version:
        raise fault(
            "IllegalSubnetPoolIpVersionAssociationToAddressScope",
            subnetpool_id=pool.id,
            address_scope_id=scope_id,
            ip_version=scope.ip_version,
        )
    for other in await networks.pools_of_scope(op.tx, scope_id):
        if other.id != pool.id and prefixes.overlap(pool.prefixes, other.prefixes):
            raise fault("AddressScopePrefixConflict")


async def update(op: Op, pool: nouns.SubnetPool, values: Values) -> nouns.SubnetPool:
    """Change a pool; prefixes can only be added."""
    fields = to_fields(SUBNETPOOLS, values)
    if "prefixes" in fields:
        given, version = prefixes.compact(fields["prefixes"])
        if version != pool.ip_version or not prefixes.covers(given, pool.prefixes):
            raise fault(
                "IllegalSubnetPoolPrefixUpdate",
                msg="Existing prefixes must be a subset of the new prefixes",
            )
        fields["prefixes"] = given
    if any(name in fields for name in _BOUNDS):
        present = {name: getattr(pool, name) for name in _BOUNDS}
        fields |= prefixes.bounds({**present, **fields}, pool.ip_version)
    if fields.get("is_default"):
        await _check_only_default(op, pool.ip_version, pool.id)
    changed: nouns.SubnetPool = op.stamped(pool, **fields)
    moved = changed.address_scope_id != pool.address_scope_id
    if changed.address_scope_id and (moved or "prefixes" in fields):
        shared = await networks.is_lent(op.tx, pool.id, None)
        await _check_scope(op, changed, shared)
    return await rows.update(op.tx, pool, changed)


async def delete(op: Op, pool: nouns.SubnetPool) -> None:
    """Remove a pool from which no subnet was cut."""
    if await networks.of_pool(op.tx, pool.id):
        raise fault("SubnetPoolDeleteError", reason="Subnet pool has existing allocations")
    await networks.drop_policies(op.tx, pool.id)
    await rows.delete(op.tx, pool)


async def add_prefixes(app: App, req: Request) -> Any:
    """``PUT /subnetpools/{id}/add_prefixes``."""
    given = _prefixes(req)
    async with app.db.write() as tx:
        op, pool = await _acted(app, req, tx, "add_prefixes")
        joined, version = prefixes.compact([*pool.prefixes, *given])
        if version != pool.ip_version:
            raise fault("PrefixVersionMismatch")
        changed: nouns.SubnetPool = op.stamped(pool, prefixes=joined)
        if changed.address_scope_id:
            await _check_scope(op, changed, await networks.is_lent(tx, pool.id, None))
        await rows.update(tx, pool, changed)
    return {"prefixes": changed.prefixes}


async def remove_prefixes(app: App, req: Request) -> Any:
    """``PUT /subnetpools/{id}/remove_prefixes``."""
    given = _prefixes(req)
    async with app.db.write() as tx:
        op, pool = await _acted(app, req, tx, "remove_prefixes")
        if any(net.version != pool.ip_version for net in prefixes.nets(given)):
            raise fault("PrefixVersionMismatch")
        used = [subnet.cidr for subnet in await networks.of_pool(tx, pool.id)]
        if prefixes.overlap(given, used):
            raise fault(
                "IllegalSubnetPoolPrefixUpdate",
                msg="One or more the prefixes to be removed is in use by a subnet.",
            )
        left = prefixes.without(pool.prefixes, given)
        changed: nouns.SubnetPool = op.stamped(pool, prefixes=left)
        await rows.update(tx, pool, changed)
    return {"prefixes": changed.prefixes}


def _prefixes(req: Request) -> list[str]:
    body = req.body if isinstance(req.body, dict) else {}
    try:
        given: list[str] = types.listing(types.cidr)(body.get("prefixes"))
    except ValueError as e:
        raise bad(f"Invalid input for prefixes. Reason: {e}.", "prefixes") from e
    if not given:
        raise fault("EmptySubnetPoolPrefixList")
    return given


async def _acted(app: App, req: Request, tx: Any, rule: str) -> tuple[Op, nouns.SubnetPool]:
    op = Op(app, tx, req.caller)
    pool = await rows.find(tx, nouns.SubnetPool, req.params["id"])
    if pool is None:
        raise fault("SubnetPoolNotFound", subnetpool_id=req.params["id"])
    [target] = await targets(op, [pool])
    req.authorized = True
    if not op.allowed("get_subnetpool", target):
        raise fault("SubnetPoolNotFound", subnetpool_id=pool.id)
    if not op.allowed(rule, owned(pool.project_id)):
        raise fault("PolicyNotAuthorized", action=rule)
    return op, pool


async def extras(op: Op, found: Sequence[nouns.SubnetPool]) -> list[Values]:
    """Sharing; prefix lengths as texts, as clients know them."""
    shared = await lending.shared_extras(op, "subnetpool", found)
    return [
        {**more, **{name: str(getattr(pool, name)) for name in _BOUNDS}}
        for pool, more in zip(found, shared, strict=True)
    ]


async def targets(op: Op, found: Sequence[nouns.SubnetPool]) -> list[Values]:
    """Owner, and whether the caller has it by sharing."""
    return await lending.shared_targets(op, "subnetpool", found)


async def create_scope(op: Op, values: Values) -> nouns.AddressScope:
    """A scope."""
    scope: nouns.AddressScope = op.fresh(nouns.AddressScope, **to_fields(ADDRESS_SCOPES, values))
    await rows.insert(op.tx, scope)
    if values["shared"]:
        await lending.lend(op, "address_scope", scope, filters.SHARED)
    return scope


async def update_scope(op: Op, scope: nouns.AddressScope, values: Values) -> nouns.AddressScope:
    """Change a scope; one that is shared stays so."""
    lent = await networks.is_lent(op.tx, scope.id, None)
    if values.get("shared") and not lent:
        await lending.lend(op, "address_scope", scope, filters.SHARED)
    if values.get("shared") is False and lent:
        raise fault(
            "AddressScopeUpdateError",
            address_scope_id=scope.id,
            reason="Shared address scope can't be unshared",
        )
    changed = op.stamped(scope, **to_fields(ADDRESS_SCOPES, values))
    result: nouns.AddressScope = await rows.update(op.tx, scope, changed)
    return result


async def delete_scope(op: Op, scope: nouns.AddressScope) -> None:
    """Remove a scope that no pool is in."""
    if await networks.pools_of_scope(op.tx, scope.id):
        raise fault("AddressScopeInUse", address_scope_id=scope.id)
    await networks.drop_policies(op.tx, scope.id)
    await rows.delete(op.tx, scope)


async def scope_extras(op: Op, found: Sequence[nouns.AddressScope]) -> list[Values]:
    """Sharing."""
    return await lending.shared_extras(op, "address_scope", found)


async def scope_targets(op: Op, found: Sequence[nouns.AddressScope]) -> list[Values]:
    """Owner, and whether the caller has it by sharing."""
    return await lending.shared_targets(op, "address_scope", found)


POOLS = Behaviour(
    resource=SUBNETPOOLS,
    missing=("SubnetPoolNotFound", "subnetpool_id"),
    create=create,
    update=update,
    delete=delete,
    extras=extras,
    targets=targets,
    quota="subnetpool",
)
SCOPES = Behaviour(
    resource=ADDRESS_SCOPES,
    missing=("AddressScopeNotFound", "address_scope_id"),
    create=create_scope,
    update=update_scope,
    delete=delete_scope,
    extras=scope_extras,
    targets=scope_targets,
)
