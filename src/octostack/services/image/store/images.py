# SPDX-License-Identifier: Apache-2.0
"""Images with their tags and properties."""

import operator
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from octostack.base.errors import Conflict, Invalid
from octostack.contracts.identity import Caller
from octostack.runtime.db import Page, Tx, paged
from octostack.services.image.core.listing import SORT_KEYS, Asked, Condition
from octostack.services.image.core.quota import MIB, Usage
from octostack.services.image.model import (
    ACTIVE,
    DEACTIVATED,
    IMPORTING,
    QUEUED,
    SAVING,
    UPLOADING,
    Image,
    Stored,
)
from octostack.services.image.store import tables

_images = tables.images
_COLUMNS = tuple(column.name for column in _images.c)
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_RENAMED = {"os_hash_value": "hash_value"}


async def find(tx: Tx, image_id: str) -> Image | None:
    """The image, or None."""
    rows = await tx.all(sa.select(_images).where(_images.c.id == image_id))
    found = await _whole(tx, rows)
    return found[0] if found else None


async def list_page(tx: Tx, caller: Caller, asked: Asked) -> list[Image]:
    """The page of images that the caller asked for and may see. Raises Invalid (marker)."""
    stmt = sa.select(_images).where(*_visible(caller, asked), *_conditions(asked))
    after: dict[str, Any] | None = None
    if asked.marker is not None:
        row = await tx.first(sa.select(_images).where(_images.c.id == asked.marker))
        if row is None:
            raise Invalid(f"No image found with ID {asked.marker[:100]}", field="marker")
        after = dict(row._mapping)
    columns = {name: _images.c[name] for name in SORT_KEYS}
    page = Page(limit=asked.limit, marker=asked.marker, sort=asked.sort)
    return await _whole(tx, await tx.all(paged(stmt, columns, page, after)))


async def list_unfinished(tx: Tx) -> list[Image]:
    """The images whose bytes are arriving or staged."""
    stmt = sa.select(_images).where(_images.c.status.in_((SAVING, UPLOADING, IMPORTING)))
    return await _whole(tx, await tx.all(stmt))


async def list_keys(tx: Tx) -> set[str]:
    """The keys of all bytes that rows speak of."""
    rows = await tx.all(sa.select(_images.c.data_key, _images.c.incoming_key))
    return {key for row in rows for key in row if key is not None}


async def insert(tx: Tx, image: Image) -> None:
    """A new image. Raises Conflict when its id is, or once was, another's."""
    spent = sa.select(tables.spent_ids.c.id).where(tables.spent_ids.c.id == image.id)
    taken = await tx.first(spent) is not None or await find(tx, image.id) is not None
    if taken:
        raise Conflict(f"Image ID {image.id} already exists!", code="image.duplicate")
    await tx.run(sa.insert(_images).values(**_row(image)))
    await tx.run(sa.insert(tables.tags), _tags(image, image.tags))
    await tx.run(sa.insert(tables.properties), _properties(image, image.properties))


async def save(tx: Tx, before: Image, image: Image) -> None:
    """The image is so from now on; `before` is what its rows say."""
    old, new = _row(before), _row(image)
    changed = {name: value for name, value in new.items() if value != old[name]}
    if changed:
        await tx.run(sa.update(_images).where(_images.c.id == image.id).values(**changed))
    if image.tags != before.tags:
        await tx.run(sa.delete(tables.tags).where(tables.tags.c.image_id == image.id))
        await tx.run(sa.insert(tables.tags), _tags(image, image.tags))
    if image.properties != before.properties:
        table = tables.properties
        await tx.run(sa.delete(table).where(table.c.image_id == image.id))
        await tx.run(sa.insert(table), _properties(image, image.properties))


async def delete(tx: Tx, image_id: str, now: float) -> None:
    """The image is no more; its id is not given again."""
    for table in (tables.tags, tables.properties, tables.members, tables.staged):
        await tx.run(sa.delete(table).where(table.c.image_id == image_id))
    await tx.run(sa.delete(_images).where(_images.c.id == image_id))
    await tx.run(sa.insert(tables.spent_ids).values(id=image_id, deleted_at=now))


async def put_staged(tx: Tx, image_id: str, key: str, stored: Stored) -> None:
    """Remember what was learned of the staged bytes."""
    await drop_staged(tx, image_id)
    row = {"image_id": image_id, "key": key, "stored": msgspec.to_builtins(stored)}
    await tx.run(sa.insert(tables.staged).values(**row))


async def find_staged(tx: Tx, image_id: str) -> Stored | None:
    """What was learned of the staged bytes, if there are any."""
    column = tables.staged.c.stored
    row = await tx.first(sa.select(column).where(tables.staged.c.image_id == image_id))
    return msgspec.convert(row.stored, Stored) if row else None


async def drop_staged(tx: Tx, image_id: str) -> None:
    """Nothing is staged for the image any more."""
    await tx.run(sa.delete(tables.staged).where(tables.staged.c.image_id == image_id))


async def usage(tx: Tx, project_id: str | None) -> Usage:
    """What the project's images come to."""
    stmt = (
        sa.select(
            _images.c.status,
            sa.func.count().label("n"),
            sa.func.coalesce(sa.func.sum(_images.c.size), 0).label("size"),
        )
        .where(_images.c.owner == project_id)
        .group_by(_images.c.status)
    )
    rows = {row.status: row for row in await tx.all(stmt)}

    def total(field: str, *statuses: str) -> int:
        return sum(int(getattr(rows[s], field)) for s in statuses if s in rows)

    return Usage(
        image_count_total=total("n", *rows),
        image_size_total=total("size", ACTIVE, DEACTIVATED, SAVING, QUEUED) // MIB,
        image_stage_total=total("size", UPLOADING, IMPORTING) // MIB,
        image_count_uploading=total("n", SAVING, UPLOADING, IMPORTING),
    )


def _visible(caller: Caller, asked: Asked) -> list[sa.ColumnElement[bool]]:
    """What the caller may see, narrowed by the visibility filter."""
    found: list[sa.ColumnElement[bool]] = []
    own = _images.c.owner == caller.project_id if caller.project_id else sa.false()
    if not caller.is_admin:
        open_to_all = _images.c.visibility.in_(("public", "community"))
        found.append(sa.or_(own, open_to_all, _shared_with(caller, asked.member_status)))
    if asked.visibility in (None, ""):
        # What a community shares is there for who asks, not in everybody's list.
        found.append(sa.or_(_images.c.visibility != "community", own))
    elif asked.visibility != "all":
        found.append(_images.c.visibility == asked.visibility)
    return found


def _shared_with(caller: Caller, status: str) -> sa.ColumnElement[bool]:
    if caller.project_id is None:
        return sa.false()
    members = tables.members
    mine = sa.select(members.c.image_id).where(members.c.member_id == caller.project_id)
    if status != "all":
        mine = mine.where(members.c.status == status)
    return sa.and_(_images.c.visibility == "shared", _images.c.id.in_(mine))


def _conditions(asked: Asked) -> list[sa.ColumnElement[bool]]:
    found = [_images.c.hidden == asked.hidden, *(_compare(c) for c in asked.conditions)]
    for tag in asked.tags:
        tagged = sa.select(tables.tags.c.image_id).where(tables.tags.c.tag == tag)
        found.append(_images.c.id.in_(tagged))
    properties = tables.properties
    for name, value in asked.properties:
        having = sa.select(properties.c.image_id).where(
            properties.c.name == name, properties.c.value == value
        )
        found.append(_images.c.id.in_(having))
    return found


def _compare(condition: Condition) -> sa.ColumnElement[bool]:
    name = _RENAMED.get(condition.name, condition.name)
    if name not in _images.c:
        return sa.true()  # os_hash_algo: there is only one
    column = _images.c[name]
    if condition.operator == "in":
        return column.in_(condition.value)
    compared: sa.ColumnElement[bool] = _OPERATORS[condition.operator](column, condition.value)
    return compared


async def _whole(tx: Tx, rows: Sequence[sa.Row[Any]]) -> list[Image]:
    if not rows:
        return []
    ids = [row.id for row in rows]
    tags: dict[str, list[str]] = defaultdict(list)
    for row in await tx.all(sa.select(tables.tags).where(tables.tags.c.image_id.in_(ids))):
        tags[row.image_id].append(row.tag)
    named: dict[str, dict[str, str]] = defaultdict(dict)
    table = tables.properties
    for row in await tx.all(sa.select(table).where(table.c.image_id.in_(ids))):
        named[row.image_id][row.name] = row.value
    return [
        Image(
            **row._mapping,
            tags=tuple(sorted(tags.get(row.id, ()))),
            properties=named.get(row.id, {}),
        )
        for row in rows
    ]


def _row(image: Image) -> dict[str, Any]:
    return {name: getattr(image, name) for name in _COLUMNS}


def _tags(image: Image, tags: Sequence[str]) -> list[dict[str, Any]]:
    return [{"image_id": image.id, "tag": tag} for tag in dict.fromkeys(tags)]


def _properties(image: Image, named: dict[str, str]) -> list[dict[str, Any]]:
    return [{"image_id": image.id, "name": n, "value": v} for n, v in named.items()]
