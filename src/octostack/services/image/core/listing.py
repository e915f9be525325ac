# SPDX-License-Identifier: Apache-2.0
"""What a list of images asks for: filters, order and page out of a query string."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from octostack.base.errors import Invalid
from octostack.services.image.model import VISIBILITIES

SORT_KEYS = (
    "name",
    "status",
    "container_format",
    "disk_format",
    "size",
    "id",
    "created_at",
    "updated_at",
)
OPERATORS = ("eq", "neq", "gt", "gte", "lt", "lte")
LIMIT_DEFAULT = 25
LIMIT_MAX = 1000
_INT_MAX = (1 << 62) - 1
_LISTS = ("id", "name", "status", "container_format", "disk_format")
_NUMBERS = ("size", "min_ram", "min_disk", "virtual_size")
_PLAIN = ("owner", "checksum", "os_hash_value", "os_hash_algo")
_QUOTED = re.compile(r'"([^"]*)"|([^,]+)')


class Condition(msgspec.Struct, frozen=True):
    """A column, one of OPERATORS or "in", and what it is compared with."""

    name: str
    operator: str
    value: Any


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A list as asked for. `properties` are custom ones, all of which must be equal."""

    conditions: tuple[Condition, ...] = ()
    properties: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    visibility: str | None = None
    member_status: str = "accepted"
    hidden: bool = False
    sort: tuple[tuple[str, str], ...] = (("created_at", "desc"), ("id", "desc"))
    limit: int = LIMIT_DEFAULT
    marker: str | None = None


def read(pairs: Sequence[tuple[str, str]]) -> Asked:
    """The query string of ``GET /v2/images``. Raises Invalid."""
    last = dict(pairs)
    if last.get("changes-since"):
        raise Invalid(
            'The "changes-since" filter is no longer available on v2.', field="changes-since"
        )
    conditions, properties = [], []
    for name, value in last.items():
        if name in _OURS:
            continue
        found = _condition(name, value)
        if found is None:
            properties.append((name, value))
        else:
            conditions.append(found)
    return Asked(
        conditions=tuple(conditions),
        properties=tuple(properties),
        tags=tuple(value.strip() for name, value in pairs if name == "tag"),
        visibility=_one_of(last, "visibility", (*VISIBILITIES, "all"), "Invalid visibility value"),
        member_status=_one_of(
            last, "member_status", ("pending", "accepted", "rejected", "all"), "Invalid status"
        )
        or "accepted",
        hidden=_boolean(last.get("os_hidden", "false").lower(), "os_hidden"),
        sort=_sort(pairs),
        limit=_limit(last.get("limit")),
        marker=last.get("marker"),
    )


_OURS = frozenset(
    {
        "limit",
        "marker",
        "member_status",
        "os_hidden",
        "sort",
        "sort_dir",
        "sort_key",
        "tag",
        "visibility",
    }
)


def _condition(name: str, value: str) -> Condition | None:
    if name == "protected":
        return Condition(name, "eq", _boolean(value, name))
    if name in ("created_at", "updated_at"):
        return _time(name, value)
    if name in _LISTS:
        return _list(name, value)
    stem, _, end = name.rpartition("_")
    if end in ("min", "max") and stem in _NUMBERS:
        return Condition(stem, "gte" if end == "min" else "lte", _number(value, name))
    if name in _NUMBERS:
        return Condition(name, "eq", _number(value, name))
    if name in _PLAIN:
        return Condition(name, "eq", value)
    return None


def _number(value: str, name: str) -> int:
    try:
        return max(-_INT_MAX, min(int(value), _INT_MAX))
    except ValueError:
        raise Invalid("Unable to filter on a range with a non-numeric value.", field=name) from None


def _boolean(value: str, name: str) -> bool:
    if value not in ("true", "false"):
        raise Invalid(
            f"Invalid value '{value[:100]}' for '{name}' filter. Valid values are 'true' or "
            "'false'.",
            field=name,
        )
    return value == "true"


def _one_of(values: dict[str, str], name: str, allowed: Sequence[str], message: str) -> str | None:
    value = values.get(name)
    if not value:
        return None
    if value not in allowed:
        raise Invalid(f"{message}: {value[:100]}", field=name)
    return value


def _time(name: str, value: str) -> Condition:
    operator, colon, rest = value.partition(":")
    if not colon or operator not in OPERATORS:
        if colon and operator.isalpha():
            raise Invalid(f"Unable to filter by unknown operator '{operator[:50]}'.", field=name)
        operator, rest = "eq", value
    try:
        moment = _moment(rest)
    except (ValueError, OverflowError):
        raise Invalid(
            f'Bad "{name}" query filter format. Use ISO 8601 DateTime notation.', field=name
        ) from None
    return Condition(name, operator, moment)


def _moment(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _list(name: str, value: str) -> Condition:
    operator, colon, rest = value.partition(":")
    if not colon or operator not in (*OPERATORS, "in"):
        return Condition(name, "eq", value)
    if operator == "eq":
        return Condition(name, "eq", rest)
    if operator != "in":
        raise Invalid(f"Unable to filter by unknown operator '{operator}'.", field=name)
    if rest.count('"') % 2:
        raise Invalid(f"Invalid filter value {rest[:100]}. The quote is not closed.", field=name)
    return Condition(name, "in", tuple(a or b for a, b in _QUOTED.findall(rest)))


def _sort(pairs: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    keys = [value.strip() for name, value in pairs if name == "sort_key"]
    directions = [value.strip() for name, value in pairs if name == "sort_dir"]
    news = [value for name, value in pairs if name == "sort"]
    if news:
        if keys or directions:
            raise Invalid("Old and new sorting syntax cannot be combined", field="sort")
        parts = [part.partition(":") for part in news[-1].strip().split(",")]
        keys = [key.strip() for key, _, _ in parts]
        directions = [direction.strip() or "desc" for _, _, direction in parts]
    if len(directions) > 1 and len(directions) != len(keys):
        raise Invalid(
            "Number of sort dirs does not match the number of sort keys", field="sort_dir"
        )
    for key in keys:
        if key not in SORT_KEYS:
            raise Invalid(
                f"Invalid sort key: {key[:100]}. It must be one of the following: "
                f"{', '.join(SORT_KEYS)}.",
                field="sort_key",
            )
    for direction in directions:
        if direction not in ("asc", "desc"):
            raise Invalid(f"Invalid sort direction: {direction[:100]}", field="sort_dir")
    keys = keys or ["created_at"]
    directions = directions or ["desc"]
    if len(directions) == 1:
        directions *= len(keys)
    order = dict(zip(keys, directions, strict=True))
    for key in ("created_at", "id"):  # so that the order is total
        order.setdefault(key, directions[0])
    return tuple(order.items())


def _limit(text: str | None) -> int:
    if text is None:
        return LIMIT_DEFAULT
    try:
        limit = int(text)
    except ValueError:
        raise Invalid("limit param must be an integer", field="limit") from None
    if limit < 0:
        raise Invalid("limit param must be positive", field="limit")
    return min(limit, LIMIT_MAX)
