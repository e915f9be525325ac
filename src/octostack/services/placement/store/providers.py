# SPDX-License-Identifier: Apache-2.0
"""Providers with their inventories, traits and aggregates."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from octostack.contracts.placement import Inventory
from octostack.runtime.db import Tx
from octostack.services.placement.model import ProviderState, Stock
from octostack.services.placement.store import tables

_providers = tables.providers
_inventories = tables.inventories
_allocations = tables.allocations
_BUMP = (
    sa.update(_providers)
    .where(_providers.c.id == sa.bindparam("b_id"))
    .values(generation=sa.bindparam("b_generation"), seq=sa.bindparam("b_seq"))
)
_FIELDS = ("total", "reserved", "min_unit", "max_unit", "step_size", "allocation_ratio")


async def list_changed(tx: Tx, since: int) -> list[ProviderState]:
    """Every provider touched after change `since`; 0 gives all."""
    changed = _providers.c.seq > since
    rows = await tx.all(sa.select(_providers).where(changed))
    if not rows:
        return []
    ids = sa.select(_providers.c.id).where(changed)
    stocks = await _stocks(tx, ids)
    used = await _used(tx, ids)
    traits = await _sets(tx, tables.provider_traits, "trait", ids)
    aggregates = await _sets(tx, tables.provider_aggregates, "aggregate", ids)
    return [
        ProviderState(
            **row._mapping,
            stocks=stocks.get(row.id, {}),
            used=used.get(row.id, {}),
            traits=frozenset(traits.get(row.id, ())),
            aggregates=frozenset(aggregates.get(row.id, ())),
        )
        for row in rows
    ]


async def list_removed(tx: Tx, since: int) -> list[tuple[str, int]]:
    """Ids and change numbers of the providers removed after change `since`."""
    removed = tables.removed_providers
    rows = await tx.all(sa.select(removed.c.id, removed.c.seq).where(removed.c.seq > since))
    return [(row.id, row.seq) for row in rows]


def only_bumped(state: ProviderState, before: ProviderState | None) -> bool:
    """Did a claim touch the provider, and nothing else?"""
    return before is not None and before == msgspec.structs.replace(
        state, generation=before.generation, seq=before.seq, used=before.used
    )


def parents_first(states: Iterable[ProviderState]) -> list[ProviderState]:
    """In an order in which each may refer to those before it."""
    by_id = {state.id: state for state in states}
    ordered: dict[str, ProviderState] = {}

    def add(state: ProviderState) -> None:
        parent = by_id.get(state.parent_id or "")
        if parent is not None and parent.id not in ordered:
            add(parent)
        ordered[state.id] = state

    for state in by_id.values():
        add(state)
    return list(ordered.values())


async def bump(tx: Tx, states: Iterable[ProviderState]) -> None:
    """Write generation and number of providers of which nothing else changed."""
    rows = [{"b_id": s.id, "b_generation": s.generation, "b_seq": s.seq} for s in states]
    await tx.run(_BUMP, rows)


async def save(tx: Tx, state: ProviderState, before: ProviderState | None) -> None:
    """Bring the rows of a provider from what they were `before` to what is given."""
    await _save_row(tx, state, before)
    await _save_stocks(tx, state, before)
    await _save_set(tx, tables.provider_traits, state.id, (before, state, "trait"))
    await _save_set(tx, tables.provider_aggregates, state.id, (before, state, "aggregate"))


async def delete(tx: Tx, provider_id: str, seq: int, now: float) -> None:
    """The provider is no more; it must have neither children nor allocations."""
    for table in (_inventories, tables.provider_traits, tables.provider_aggregates):
        await tx.run(sa.delete(table).where(table.c.provider_id == provider_id))
    await tx.run(sa.delete(_providers).where(_providers.c.id == provider_id))
    removed = tables.removed_providers
    await tx.run(sa.delete(removed).where(removed.c.id == provider_id))
    await tx.run(sa.insert(removed).values(id=provider_id, seq=seq, removed_at=now))


async def _stocks(tx: Tx, ids: Any) -> dict[str, dict[str, Stock]]:
    rows = await tx.all(sa.select(_inventories).where(_inventories.c.provider_id.in_(ids)))
    found: dict[str, dict[str, Stock]] = defaultdict(dict)
    for row in rows:
        inventory = Inventory(**{field: getattr(row, field) for field in _FIELDS})
        found[row.provider_id][row.resource_class] = Stock(inventory, row.changed_at)
    return found


async def _used(tx: Tx, ids: Any) -> dict[str, dict[str, int]]:
    columns = _allocations.c.provider_id, _allocations.c.resource_class
    stmt = sa.select(*columns, sa.func.sum(_allocations.c.used).label("used"))
    rows = await tx.all(stmt.where(_allocations.c.provider_id.in_(ids)).group_by(*columns))
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for row in rows:
        found[row.provider_id][row.resource_class] = int(row.used)
    return found


async def _sets(tx: Tx, table: sa.Table, column: str, ids: Any) -> dict[str, list[str]]:
    rows: Sequence[Any] = await tx.all(sa.select(table).where(table.c.provider_id.in_(ids)))
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        found[row.provider_id].append(getattr(row, column))
    return found


async def _save_row(tx: Tx, state: ProviderState, known: ProviderState | None) -> None:
    row = {column.name: getattr(state, column.name) for column in _providers.c}
    if known is None:
        await tx.run(sa.insert(_providers).values(**row))
        return
    changed = {k: v for k, v in row.items() if v != getattr(known, k)}
    if changed:
        await tx.run(sa.update(_providers).where(_providers.c.id == state.id).values(**changed))


async def _save_stocks(tx: Tx, state: ProviderState, known: ProviderState | None) -> None:
    before = known.stocks if known else {}
    if before is state.stocks:
        return
    here = _inventories.c.provider_id == state.id
    gone = [name for name in before if name not in state.stocks]
    if gone:
        stmt = sa.delete(_inventories).where(here, _inventories.c.resource_class.in_(gone))
        await tx.run(stmt)
    new = []
    for name, stock in state.stocks.items():
        values = {field: getattr(stock.inventory, field) for field in _FIELDS}
        values["changed_at"] = stock.changed_at
        if name not in before:
            new.append({"provider_id": state.id, "resource_class": name, **values})
        elif stock != before[name]:
            where = sa.and_(here, _inventories.c.resource_class == name)
            await tx.run(sa.update(_inventories).where(where).values(**values))
    await tx.run(sa.insert(_inventories), new)


async def _save_set(
    tx: Tx,
    table: sa.Table,
    provider_id: str,
    change: tuple[ProviderState | None, ProviderState, str],
) -> None:
    known, state, column = change
    before: frozenset[str] = getattr(known, column + "s") if known else frozenset()
    after: frozenset[str] = getattr(state, column + "s")
    if gone := before - after:
        where = sa.and_(table.c.provider_id == provider_id, table.c[column].in_(sorted(gone)))
        await tx.run(sa.delete(table).where(where))
    new = [{"provider_id": provider_id, column: name} for name in sorted(after - before)]
    await tx.run(sa.insert(table), new)
