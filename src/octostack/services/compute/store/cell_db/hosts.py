# SPDX-License-Identifier: Apache-2.0
"""Hosts, as their agents reported them and as operators set them."""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from octostack.base import clock
from octostack.base.errors import NotFound
from octostack.runtime.db import Tx
from octostack.services.compute.model import ConsoleToken, Host
from octostack.services.compute.store.cell_db.tables import console_tokens, hosts

_COLUMNS = [hosts.c[f] for f in Host.__struct_fields__]


async def insert(tx: Tx, host: Host) -> None:
    """A host that was not known."""
    values = {f: getattr(host, f) for f in Host.__struct_fields__ if f != "id"}
    await tx.run(sa.insert(hosts).values(**values))


async def find(tx: Tx, name: str) -> Host | None:
    """By the name of the host."""
    row = await tx.first(sa.select(*_COLUMNS).where(hosts.c.host == name))
    return Host(**row._mapping) if row else None


async def get(tx: Tx, **key: Any) -> Host:
    """By any unique column. Raises NotFound."""
    ((column, value),) = key.items()
    row = await tx.first(sa.select(*_COLUMNS).where(hosts.c[column] == value))
    if row is None:
        raise NotFound(f"Compute host {value} could not be found.", code="ComputeHostNotFound")
    return Host(**row._mapping)


async def list_all(tx: Tx) -> list[Host]:
    """Every host, oldest first."""
    return [Host(**r._mapping) for r in await tx.all(sa.select(*_COLUMNS).order_by(hosts.c.id))]


async def list_some(tx: Tx, names: Sequence[str], changed_since: float) -> list[Host]:
    """These, and those that an operator or a registration changed since then."""
    c = hosts.c
    changed = sa.func.coalesce(c.updated_at, c.created_at) >= changed_since
    stmt = sa.select(*_COLUMNS).where(sa.or_(changed, c.host.in_(list(names))))
    return [Host(**r._mapping) for r in await tx.all(stmt)]


async def list_of_providers(tx: Tx, provider_ids: Collection[str]) -> list[Host]:
    """The hosts among these resource providers."""
    stmt = sa.select(*_COLUMNS).where(hosts.c.provider_id.in_(list(provider_ids)))
    return [Host(**r._mapping) for r in await tx.all(stmt)]


async def ids(tx: Tx) -> set[str]:
    """The provider ids of all hosts."""
    return {row.provider_id for row in await tx.all(sa.select(hosts.c.provider_id))}


async def update(tx: Tx, host_id: int, **changes: Any) -> None:
    """Write columns of a host."""
    await tx.run(sa.update(hosts).where(hosts.c.id == host_id).values(**changes))


async def beats(tx: Tx, seen: dict[str, float]) -> None:
    """These hosts reported at these times."""
    stmt = (
        sa.update(hosts)
        .where(hosts.c.host == sa.bindparam("name"))
        .values(seen_at=sa.bindparam("at"), report_count=hosts.c.report_count + 1)
    )
    await tx.run(stmt, [{"name": name, "at": at} for name, at in seen.items()])


async def delete(tx: Tx, host_id: int) -> None:
    """Forget a host."""
    await tx.run(sa.delete(hosts).where(hosts.c.id == host_id))


async def insert_token(tx: Tx, token: ConsoleToken) -> None:
    """A console token; older ones of the server stay valid until they expire."""
    values = {f: getattr(token, f) for f in ConsoleToken.__struct_fields__}
    await tx.run(sa.insert(console_tokens).values(**values))


async def find_token(tx: Tx, token_hash: str) -> ConsoleToken | None:
    """The token, if it has not expired."""
    c = console_tokens.c
    row = await tx.first(
        sa.select(console_tokens).where(c.token_hash == token_hash, c.expires_at > clock.now())
    )
    return ConsoleToken(**row._mapping) if row else None


async def drop_tokens(tx: Tx, server_id: str | None = None) -> None:
    """The tokens of a server, or all that have expired."""
    c = console_tokens.c
    which = c.server_id == server_id if server_id else c.expires_at <= clock.now()
    await tx.run(sa.delete(console_tokens).where(which))
