# SPDX-License-Identifier: Apache-2.0
"""Which of several processes does a thing: names held for a time, in a table that all of them see.

For work that a saga's lease does not cover. Writers of a database are serialised, so a name has one
holder; one whose process died is free when its time is over, and at once for a new process of the
same owner. A holder that was stopped for longer than that finds out when it renews: what it does
must stand being done again by another, and end in a write that is refused if the row went on.
"""

from collections.abc import Iterable

import sqlalchemy as sa

from octostack.base import clock
from octostack.runtime.db import Database

LEASE_S = 15.0


def add_table(metadata: sa.MetaData) -> sa.Table:
    """Define the table ``leases`` among a service's tables."""
    return sa.Table(
        "leases",
        metadata,
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )


class Leases:
    """What `owner` holds; `table` is one of `add_table` in `db`."""

    def __init__(
        self, db: Database, table: sa.Table, owner: str, *, lease_s: float = LEASE_S
    ) -> None:
        self._db = db
        self._table = table
        self._owner = owner
        self._lease_s = lease_s
        self._held: dict[str, float] = {}

    async def take(self, names: Iterable[str]) -> set[str]:
        """Those of `names` that are ours from now on; the others are somebody else's."""
        wanted, now = list(names), clock.now()
        t = self._table
        async with self._db.write() as tx:
            rows = await tx.all(sa.select(t).where(t.c.name.in_(wanted)))
            others = {r.name for r in rows if r.owner != self._owner and r.until > now}
            mine = [name for name in wanted if name not in others]
            await tx.run(sa.delete(t).where(t.c.name.in_(mine)))
            until = now + self._lease_s
            await tx.run(
                sa.insert(t), [{"name": n, "owner": self._owner, "until": until} for n in mine]
            )
        self._held.update(dict.fromkeys(mine, until))
        return set(mine)

    async def renew(self) -> set[str]:
        """Hold on to all that is held; returns what was lost to another."""
        now = clock.now()
        due = [name for name, until in self._held.items() if until < now + self._lease_s / 2]
        if not due:
            return set()
        t, until = self._table, now + self._lease_s
        async with self._db.write() as tx:
            mine = (t.c.name.in_(due)) & (t.c.owner == self._owner)
            await tx.run(sa.update(t).where(mine).values(until=until))
            kept = {row.name for row in await tx.all(sa.select(t.c.name).where(mine))}
        self._held.update(dict.fromkeys(kept & self._held.keys(), until))
        lost = set(due) - kept
        for name in lost:
            self._held.pop(name, None)
        return lost

    async def drop(self, name: str) -> None:
        """Let go of one; no error when it was lost."""
        if self._held.pop(name, None) is None:
            return
        t = self._table
        async with self._db.write() as tx:
            await tx.run(sa.delete(t).where(t.c.name == name, t.c.owner == self._owner))
