# SPDX-License-Identifier: Apache-2.0
"""Servers: read, written, guarded by what the writer believed to be true."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from octostack.base import clock
from octostack.base.errors import Conflict, Invalid, NotFound
from octostack.runtime.db import Page, Tx, paged
from octostack.services.compute.model import Flavor, Order, Server, ServerFilter, Usage
from octostack.services.compute.store.cell_db import matching
from octostack.services.compute.store.cell_db.tables import server_tags, servers

_FIELDS = Server.__struct_fields__
_COLUMNS = [servers.c[f] for f in _FIELDS]
# The greater part of a row is how to boot, which no list shows: the database takes it apart.
_SHOWN_OF = {
    "order": servers.c.boot[("image", "properties")].label("properties"),
    "boot": servers.c.boot["security_groups"].label("security_groups"),
}
_LISTED_COLUMNS = [_SHOWN_OF.get(f, servers.c[f]) for f in _FIELDS]
_ORDER, _BOOT = _FIELDS.index("order"), _FIELDS.index("boot")
SORT_KEYS = (
    "access_ip_v4", "access_ip_v6", "availability_zone", "config_drive", "created_at",
    "description", "disk_config", "host", "hostname", "id", "image_id", "flavor_id", "key_name",
    "launch_index", "launched_at", "locked_by", "node", "power_state", "progress", "project_id",
    "root_device", "task_state", "terminated_at", "updated_at", "user_id", "vm_state", "name",
)  # fmt: skip


class _Listed(Server, frozen=True, kw_only=True, array_like=True):
    """Read by the places of its fields: in a third of the time that it takes by their names."""


async def insert(tx: Tx, rows: Sequence[Server]) -> None:
    """New servers, with their tags."""
    await tx.run(sa.insert(servers), [_values(s) for s in rows])
    await tx.run(
        sa.insert(server_tags), [{"server_id": s.id, "tag": t} for s in rows for t in s.tags]
    )


# Made once: building a statement of forty columns takes longer than running it.
_BY_ID = sa.select(*_COLUMNS).where(servers.c.id == sa.bindparam("server_id"))
_ALIVE_BY_ID = _BY_ID.where(servers.c.deleted_at.is_(None))
_UPDATE = sa.update(servers).where(servers.c.id == sa.bindparam("for_id"))
_GUARDED = _UPDATE.where(servers.c.generation == sa.bindparam("for_generation"))
_UPDATE_RESTING = _GUARDED.where(servers.c.task_state.is_(None))
_UPDATE_BUSY = _GUARDED.where(servers.c.task_state == sa.bindparam("for_task"))
_USAGE = sa.select(
    sa.func.count(), sa.func.sum(servers.c.vcpus), sa.func.sum(servers.c.memory_mb)
).where(servers.c.project_id == sa.bindparam("project_id"), servers.c.deleted_at.is_(None))
_USAGE_OF_USER = _USAGE.where(servers.c.user_id == sa.bindparam("user_id"))
_STATES_OF_HOST = sa.select(
    servers.c.id,
    servers.c.vm_state,
    servers.c.task_state,
    servers.c.power_state,
    servers.c.generation,
).where(servers.c.host == sa.bindparam("host"), servers.c.deleted_at.is_(None))


async def find(tx: Tx, server_id: str, *, deleted: bool = False) -> Server | None:
    """The server, or None; deleted ones only when asked for."""
    row = await tx.first(_BY_ID if deleted else _ALIVE_BY_ID, {"server_id": server_id})
    return _server(row) if row else None


async def get(tx: Tx, server_id: str, *, deleted: bool = False) -> Server:
    """The server. Raises NotFound."""
    server = await find(tx, server_id, deleted=deleted)
    if server is None:
        raise NotFound(f"Instance {server_id} could not be found.", code="InstanceNotFound")
    return server


async def update(tx: Tx, server: Server, **changes: Any) -> Server:
    """Write columns, if the row is still of the generation and task state of `server`.

    Returns the server as it is now. Raises Conflict when somebody else was first.
    """
    changes.setdefault("updated_at", clock.now())
    values = _columns(changes) | {"for_id": server.id, "for_generation": server.generation}
    stmt = _UPDATE_RESTING
    if server.task_state is not None:
        stmt, values["for_task"] = _UPDATE_BUSY, server.task_state
    if not await tx.run(stmt, [values]):
        raise Conflict(
            f"Conflict updating instance {server.id}: it was changed meanwhile.",
            code="InstanceUpdateConflict",
        )
    if "tags" in changes:
        await _write_tags(tx, server.id, changes["tags"])
    return msgspec.structs.replace(server, **changes)


async def patch(tx: Tx, server_id: str, **changes: Any) -> None:
    """Write columns whatever the state is; for facts that no order contradicts."""
    await tx.run(_UPDATE, [_columns(changes) | {"for_id": server_id}])


async def list_where(tx: Tx, want: ServerFilter, order: Order) -> list[Server]:
    """The servers of a list, one page. Raises Invalid for a marker that is not there.

    They are for showing: `order` is left out, and of `boot` all but what is shown.
    """
    stmt = _filtered(sa.select(*_LISTED_COLUMNS), want)
    after = None
    if order.marker:
        row = await tx.first(sa.select(servers).where(servers.c.id == order.marker))
        if row is None:
            raise Invalid(f"marker [{order.marker}] not found", code="MarkerNotFound")
        after = dict(row._mapping)
    page = Page(limit=order.limit, sort=order.sort)
    stmt = paged(stmt, {k: servers.c[k] for k in SORT_KEYS}, page, after)
    return [_listed(row) for row in await tx.all(stmt)]


async def list_with_task(tx: Tx, but: Sequence[str] = ()) -> list[Server]:
    """The servers that something is being done about, other than the tasks of `but`."""
    c = servers.c
    stmt = sa.select(*_COLUMNS).where(
        c.task_state.is_not(None), c.task_state.not_in(but), c.deleted_at.is_(None)
    )
    return [_server(row) for row in await tx.all(stmt)]


async def list_of_host(tx: Tx, host: str) -> list[Server]:
    """The servers on a host that are not deleted."""
    stmt = sa.select(*_COLUMNS).where(servers.c.host == host, servers.c.deleted_at.is_(None))
    return [_server(row) for row in await tx.all(stmt)]


async def list_placed(tx: Tx, since: float = 0.0) -> list[Server]:
    """Servers that changed since then: alive ones at the start, gone ones too later on."""
    stmt = sa.select(*_COLUMNS).where(servers.c.updated_at >= since)
    if not since:
        stmt = stmt.where(servers.c.deleted_at.is_(None), servers.c.host.is_not(None))
    return [_server(row) for row in await tx.all(stmt)]


async def states_of_host(tx: Tx, host: str) -> Sequence[sa.Row[Any]]:
    """Id, vm and task state, power and generation of each server on a host; cheap."""
    return await tx.all(_STATES_OF_HOST, {"host": host})


async def names_of_host(tx: Tx, host: str) -> list[tuple[str, str]]:
    """Id and instance name of each server on a host."""
    c = servers.c
    stmt = sa.select(c.id, c.seq).where(c.host == host, c.deleted_at.is_(None)).order_by(c.seq)
    return [(row.id, f"instance-{row.seq:08x}") for row in await tx.all(stmt)]


async def hosts_of(tx: Tx, ids: Sequence[str]) -> dict[str, str | None]:
    """Where each of these servers is, of those that there are."""
    c = servers.c
    stmt = sa.select(c.id, c.host).where(c.id.in_(list(ids)), c.deleted_at.is_(None))
    return {row.id: row.host for row in await tx.all(stmt)}


async def usage(tx: Tx, project_id: str, user_id: str | None = None) -> Usage:
    """What a project (or one of its users) holds now."""
    if user_id is None:
        row = await tx.first(_USAGE, {"project_id": project_id})
    else:
        row = await tx.first(_USAGE_OF_USER, {"project_id": project_id, "user_id": user_id})
    assert row is not None
    values = tuple(row)
    return Usage(instances=values[0], cores=int(values[1] or 0), ram=int(values[2] or 0))


async def alive(tx: Tx, ids: Sequence[str]) -> set[str]:
    """Which of these servers are not deleted."""
    c = servers.c
    stmt = sa.select(c.id).where(c.id.in_(list(ids)), c.deleted_at.is_(None))
    return {row.id for row in await tx.all(stmt)} if ids else set()


async def known(tx: Tx, ids: Sequence[str]) -> set[str]:
    """Which of these servers have a row, deleted or not."""
    stmt = sa.select(servers.c.id).where(servers.c.id.in_(ids))
    return {row.id for row in await tx.all(stmt)} if ids else set()


async def lived_between(
    tx: Tx, start: float, end: float, project_id: str | None = None
) -> list[Server]:
    """Servers that ran at some time in a period, deleted ones too; for usage reports."""
    c = servers.c
    stmt = sa.select(*_COLUMNS).where(
        sa.or_(c.terminated_at.is_(None), c.terminated_at > start),
        c.launched_at.is_not(None),
        c.launched_at < end,
    )
    if project_id:
        stmt = stmt.where(c.project_id == project_id)
    return [_server(row) for row in await tx.all(stmt.order_by(c.created_at, c.id))]


async def _write_tags(tx: Tx, server_id: str, tags: Sequence[str]) -> None:
    await tx.run(sa.delete(server_tags).where(server_tags.c.server_id == server_id))
    await tx.run(sa.insert(server_tags), [{"server_id": server_id, "tag": t} for t in tags])


def _filtered(stmt: sa.Select[Any], want: ServerFilter) -> sa.Select[Any]:
    c = servers.c
    conditions: list[sa.ColumnElement[bool]] = [c[k] == v for k, v in want.equals.items()]
    for column, value in (
        (c.project_id, want.project_id),
        (c.user_id, want.user_id),
        (c.flavor_id, want.flavor_id),
        (c.image_id, want.image_id),
        (c.host, want.host),
    ):
        if value is not None:
            conditions.append(column == value)
    if want.ids is not None:
        conditions.append(c.id.in_(want.ids))
    if want.vm_states is not None:
        conditions.append(c.vm_state.in_(want.vm_states))
    if want.task_states is not None:
        conditions.append(_task_in(want.task_states))
    if want.locked is not None:
        conditions.append(c.locked_by.is_not(None) if want.locked else c.locked_by.is_(None))
    if not want.with_deleted:
        conditions.append(c.deleted_at.is_not(None) if want.deleted else c.deleted_at.is_(None))
    if want.changes_since is not None:
        conditions.append(c.updated_at >= want.changes_since)
    if want.changes_before is not None:
        conditions.append(c.updated_at <= want.changes_before)
    if want.name:
        conditions.append(matching.matches(c.name, want.name))
    conditions += [matching.has_address(pattern) for pattern in want.addresses]
    conditions += [matching.has_metadata(k, v) for k, v in want.metadata.items()]
    conditions += _tagged(want)
    return stmt.where(*conditions)


def _task_in(states: tuple[str | None, ...]) -> sa.ColumnElement[bool]:
    named = servers.c.task_state.in_([s for s in states if s])
    return sa.or_(named, servers.c.task_state.is_(None)) if None in states else named


def _tagged(want: ServerFilter) -> list[sa.ColumnElement[bool]]:
    def having(tags: Sequence[str]) -> sa.ColumnElement[bool]:
        t = server_tags.c
        return sa.exists().where(t.server_id == servers.c.id, t.tag.in_(tags))

    found = [having([tag]) for tag in want.tags_all]
    if want.tags_any:
        found.append(having(want.tags_any))
    if want.tags_none:  # not all of them
        found.append(sa.not_(sa.and_(*(having([tag]) for tag in want.tags_none))))
    if want.tags_none_any:
        found.append(sa.not_(having(want.tags_none_any)))
    return found


def _values(s: Server) -> dict[str, Any]:
    values = {f: getattr(s, f) for f in Server.__struct_fields__ if f != "seq"}
    values["updated_at"] = s.updated_at or s.created_at
    return _columns(values)


def _columns(changes: dict[str, Any]) -> dict[str, Any]:
    made = dict(changes)
    flavor = made.get("flavor")
    if isinstance(flavor, Flavor):
        made |= {
            "flavor_id": flavor.id,
            "vcpus": flavor.vcpus,
            "memory_mb": flavor.memory_mb,
        }
    return made


def _server(row: sa.Row[Any]) -> Server:
    return Server(**dict(zip(_FIELDS, row, strict=True)))


def _listed(row: sa.Row[Any]) -> Server:
    values = list(row)
    values[_BOOT] = {"image": {"properties": values[_ORDER]}, "security_groups": values[_BOOT]}
    values[_ORDER] = {}
    return msgspec.convert(values, _Listed)
