# SPDX-License-Identifier: Apache-2.0
"""What all resources have in common: get, list, insert, update, delete by id.

A `Kind` binds a table to its Struct and to the words of Keystone's messages.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Generic, Literal, TypeVar, cast

import msgspec
import sqlalchemy as sa

from octostack.base.errors import Conflict, NotFound
from octostack.runtime.db import Tx
from octostack.services.identity import model
from octostack.services.identity.store import tables

T = TypeVar("T", bound=msgspec.Struct)

Operator = Literal["equals", "contains", "startswith", "endswith"]


class Kind(msgspec.Struct, Generic[T], frozen=True):
    """One resource; `label` is its name in messages, `unique` the attributes of its name."""

    table: sa.Table
    type: type[T]
    label: str
    owned: bool = False  # has a domain_id that is "" for None


class Match(msgspec.Struct, frozen=True):
    """``name__icontains=x``: one condition that is not plain equality."""

    field: str
    operator: Operator
    value: str
    ignore_case: bool = False


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows: all `equal` and `matches` hold; from after `marker`, at most `limit`."""

    equal: dict[str, Any] = {}
    among: dict[str, tuple[Any, ...]] = {}
    matches: tuple[Match, ...] = ()
    limit: int | None = None
    marker: str | None = None


PROJECTS = Kind(tables.projects, model.Project, "project", owned=True)
USERS = Kind(tables.users, model.User, "user")
GROUPS = Kind(tables.groups, model.Group, "group")
ROLES = Kind(tables.roles, model.Role, "role", owned=True)
SERVICES = Kind(tables.services, model.Service, "service")
ENDPOINTS = Kind(tables.endpoints, model.Endpoint, "endpoint")
ENDPOINT_GROUPS = Kind(tables.endpoint_groups, model.EndpointGroup, "endpoint group")
REGIONS = Kind(tables.regions, model.Region, "region")
POLICIES = Kind(tables.policies, model.PolicyBlob, "policy")
CREDENTIALS = Kind(tables.credentials, model.Credential, "credential")
APPLICATION_CREDENTIALS = Kind(
    tables.application_credentials, model.ApplicationCredential, "application credential"
)
ACCESS_RULES = Kind(tables.access_rules, model.AccessRule, "access rule")
REGISTERED_LIMITS = Kind(tables.registered_limits, model.RegisteredLimit, "registered limit")
LIMITS = Kind(tables.limits, model.Limit, "limit")


async def find(tx: Tx, kind: Kind[T], id: str) -> T | None:
    """The row of `id`, or None."""
    row = await tx.first(sa.select(kind.table).where(kind.table.c.id == id))
    return None if row is None else from_row(kind, row)


async def get(tx: Tx, kind: Kind[T], id: str) -> T:
    """The row of `id`. Raises NotFound."""
    found = await find(tx, kind, id)
    if found is None:
        raise missing(kind, id)
    return found


async def find_by(tx: Tx, kind: Kind[T], **equal: Any) -> T | None:
    """The one row with these attributes, or None."""
    found = await list_all(tx, kind, Listing(equal=equal, limit=1))
    return found[0] if found else None


async def list_all(tx: Tx, kind: Kind[T], listing: Listing = Listing()) -> list[T]:  # noqa: B008
    """The rows that `listing` asks for, by id."""
    stmt = sa.select(kind.table).order_by(kind.table.c.id)
    for name, value in listing.equal.items():
        stmt = stmt.where(kind.table.c[name] == _to_column(kind, name, value))
    for name, values in listing.among.items():
        stmt = stmt.where(kind.table.c[name].in_(values))
    if listing.marker is not None:
        stmt = stmt.where(kind.table.c.id > listing.marker)
    if listing.limit is not None and not listing.matches:
        stmt = stmt.limit(listing.limit)
    found = [from_row(kind, row) for row in await tx.all(stmt)]
    if not listing.matches:
        return found
    # Case and wildcards differ between engines' LIKE, and these lists are small.
    return [one for one in found if _fits(one, listing.matches)][: listing.limit]


async def insert(tx: Tx, kind: Kind[T], item: T) -> T:
    """Add `item`. Raises Conflict when its name is taken."""
    try:
        await tx.run(sa.insert(kind.table).values(_to_row(kind, msgspec.structs.asdict(item))))
    except Conflict as e:
        raise _taken(kind, item, e) from e
    return item


async def insert_many(tx: Tx, kind: Kind[T], items: list[T]) -> None:
    """Add all of `items`, or raise Conflict."""
    if items:
        values = [_to_row(kind, msgspec.structs.asdict(item)) for item in items]
        await tx.run(sa.insert(kind.table), values)


async def update(tx: Tx, kind: Kind[T], item: T, changes: Mapping[str, Any]) -> T:
    """`item` with `changes`, stored. Raises Conflict when its new name is taken, NotFound."""
    changed = msgspec.structs.replace(item, **changes)
    if not changes:
        return changed
    id = cast(Any, item).id
    stmt = sa.update(kind.table).where(kind.table.c.id == id)
    try:
        count = await tx.run(stmt.values(_to_row(kind, changes)))
    except Conflict as e:
        raise _taken(kind, changed, e) from e
    if not count:
        raise missing(kind, id)
    return changed


async def delete(tx: Tx, kind: Kind[T], id: str) -> None:
    """Take the row away, and with it those that refer to it. Raises NotFound, Conflict."""
    if not await tx.run(sa.delete(kind.table).where(kind.table.c.id == id)):
        raise missing(kind, id)


async def count(tx: Tx, kind: Kind[T], **equal: Any) -> int:
    """How many rows have these attributes."""
    stmt = sa.select(sa.func.count()).select_from(kind.table)
    for name, value in equal.items():
        stmt = stmt.where(kind.table.c[name] == _to_column(kind, name, value))
    return int(await tx.scalar(stmt) or 0)


def from_row(kind: Kind[T], row: sa.Row[Any]) -> T:
    """The Struct of a whole row."""
    values: dict[str, Any] = dict(row._mapping)
    if kind.owned and values["domain_id"] == "":
        values["domain_id"] = None
    return kind.type(**values)


def missing(kind: Kind[T], id: str) -> NotFound:
    """The error for an id that is not there."""
    return NotFound(f"Could not find {kind.label}: {id}.", code=f"{kind.label}.not_found")


def _to_row(kind: Kind[T], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _to_column(kind, name, value) for name, value in values.items()}


def _to_column(kind: Kind[T], name: str, value: Any) -> Any:
    return "" if kind.owned and name == "domain_id" and value is None else value


def _taken(kind: Kind[T], item: T, cause: Conflict) -> Conflict:
    if cause.code == "db.reference":
        return Conflict(
            f"Conflict occurred attempting to store {kind.label} - it refers to something that "
            f"does not exist.",
            code=f"{kind.label}.reference",
        )
    name = getattr(item, "name", None) or getattr(item, "id", "")
    domain_id = getattr(item, "domain_id", None)
    where = f" at domain ID {domain_id}" if domain_id else ""
    return Conflict(
        f"Conflict occurred attempting to store {kind.label} - "
        f"Duplicate entry found with name {name}{where}.",
        code=f"{kind.label}.duplicate",
    )


def _fits(item: msgspec.Struct, matches: Iterable[Match]) -> bool:
    return all(_fits_one(getattr(item, match.field, None), match) for match in matches)


def _fits_one(value: Any, match: Match) -> bool:
    if not isinstance(value, str):
        return False
    here, wanted = value, match.value
    if match.ignore_case:
        here, wanted = here.casefold(), wanted.casefold()
    if match.operator == "contains":
        return wanted in here
    if match.operator == "startswith":
        return here.startswith(wanted)
    return here.endswith(wanted) if match.operator == "endswith" else here == wanted
