# SPDX-License-Identifier: Apache-2.0
"""The shape of every database as data that can be kept in a file, compared, and judged."""

import importlib
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from octostack.runtime.db import Migration, Phase

Shape = dict[str, Any]  # {"steps": [[1, "expand", "volumes"], ...], "tables": {name: {...}}}

# By the name under which the service opens it, where its tables and its migrations are.
DATABASES = {
    "identity": "octostack.services.identity.store",
    "image": "octostack.services.image.store",
    "placement": "octostack.services.placement.store",
    "network": "octostack.services.network.store",
    "compute_api": "octostack.services.compute.store.api_db",
    "compute_cell1": "octostack.services.compute.store.cell_db",
}


def metadata_of(name: str) -> sa.MetaData:
    """The tables of a database as they are defined today."""
    metadata: sa.MetaData = importlib.import_module(f"{DATABASES[name]}.tables").metadata
    return metadata


def migrations_of(name: str) -> Sequence[Migration]:
    """Its steps from older shapes."""
    steps: Sequence[Migration] = importlib.import_module(f"{DATABASES[name]}.migrations").MIGRATIONS
    return steps


def describe(metadata: sa.MetaData, steps: Sequence[Migration]) -> Shape:
    """The tables as defined, and the steps that lead to them."""
    return {
        "steps": [[s.number, s.phase.value, s.name] for s in sorted(steps, key=lambda s: s.number)],
        "tables": {str(table.name): _table(table) for table in metadata.sorted_tables},
    }


def judge(before: Shape, after: Shape) -> list[str]:
    """What is wrong with going from one shape to the other; empty when nothing is."""
    flaws = []
    landed = [step for step in before["steps"] if step not in after["steps"]]
    flaws += [f"step {number} ({name}) has landed and is not there" for number, _, name in landed]
    numbers = [number for number, _, _ in after["steps"]]
    if numbers != list(range(1, len(numbers) + 1)):
        flaws.append(f"steps are numbered from 1 without a gap, not {numbers}")
    new = [phase for number, phase, _ in after["steps"] if number > len(before["steps"])]
    if before["tables"] != after["tables"] and not new:
        flaws.append("the tables changed and there is no new step")
    gone = _names(before) - _names(after)
    if gone and Phase.CONTRACT.value not in new:
        flaws.append(f"without a step that drops them these are gone: {', '.join(sorted(gone))}")
    return flaws


def reflect(connection: sa.Connection) -> dict[str, Any]:
    """The shape that the tables in a database really have, whatever led to it."""
    inspector = sa.inspect(connection)
    names = [name for name in inspector.get_table_names() if name != "schema_migrations"]
    return {name: _reflected(inspector, name) for name in sorted(names)}


def _names(shape: Shape) -> set[str]:
    tables = shape["tables"].items()
    return {f"{name}.{column}" for name, table in tables for column in table["columns"]}


def _table(table: sa.Table) -> dict[str, Any]:
    unique = [c for c in table.constraints if isinstance(c, sa.UniqueConstraint)]
    return {
        "columns": {str(column.name): _column(column) for column in table.columns},
        "unique": sorted(sorted(str(c.name) for c in u.columns) for u in unique),
        "indexes": sorted(
            f"{index.name}({', '.join(str(e).rpartition('.')[2] for e in index.expressions)})"
            + (" unique" if index.unique else "")
            for index in table.indexes
        ),
    }


def _column(column: sa.Column[Any]) -> str:
    words = [str(column.type)]
    words += ["not null"] if not column.nullable else []
    words += ["key"] if column.primary_key else []
    words += ["default"] if column.server_default is not None else []
    words += [f"-> {reference.target_fullname}" for reference in column.foreign_keys]
    return " ".join(words)


def _reflected(inspector: sa.Inspector, table: str) -> dict[str, Any]:
    references = inspector.get_foreign_keys(table)
    indexes = [i for i in inspector.get_indexes(table) if not i.get("duplicates_constraint")]
    return {
        "columns": {
            c["name"]: [str(c["type"]), c["nullable"], c["default"] is not None]
            for c in inspector.get_columns(table)
        },
        "key": sorted(inspector.get_pk_constraint(table)["constrained_columns"]),
        "references": sorted(
            [r["constrained_columns"], r["referred_table"], r["referred_columns"], r["options"]]
            for r in references
        ),
        "unique": sorted(u["column_names"] for u in inspector.get_unique_constraints(table)),
        "indexes": sorted([i["name"], i["column_names"], bool(i["unique"])] for i in indexes),
    }
