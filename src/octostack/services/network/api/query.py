# SPDX-License-Identifier: Apache-2.0
"""Query strings: filters, fields, order, pages; in Neutron's words where one is wrong."""

from typing import Any
from urllib.parse import urlencode

from octostack.base import clock
from octostack.runtime.db import Page
from octostack.runtime.http import Request
from octostack.services.network.model.faults import fault
from octostack.services.network.schema.resource import Resource, bad, field_of

_NOT_FILTERS = frozenset(("fields", "sort_key", "sort_dir", "limit", "marker", "page_reverse"))
_TAG_FILTERS = frozenset(("tags", "tags-any", "not-tags", "not-tags-any"))
_DIRECTIONS = ("asc", "desc")
LIMIT_MAX = 10_000_000


def filters(resource: Resource, request: Request) -> dict[str, list[Any]]:
    """Field (or special filter) to the values asked for. Raises Invalid."""
    found: dict[str, list[Any]] = {}
    wrong = []
    for name in request.query.names():
        if name in _NOT_FILTERS:
            continue
        values: list[Any] = request.query.all(name)
        if any("\x00" in value for value in values):
            raise bad(f"Invalid input for {name}. Reason: it holds a null character.", name)
        if name in _TAG_FILTERS and "tags" in resource.attrs:
            found[name] = values
            continue
        if name == "changed_since":
            found[name] = _times(values)
            continue
        attr = resource.attrs.get(name)
        if attr is None or not attr.filter:
            wrong.append(name)
            continue
        key = field_of(attr)
        found.setdefault(key, []).extend(_converted(resource, name, values))
    if wrong:
        raise bad(f"{wrong} is invalid attribute for filtering", wrong[0])
    return found


def _converted(resource: Resource, name: str, values: list[str]) -> list[Any]:
    """Numbers and truth values from their texts; other texts as they are."""
    parse = resource.readers.get(name)
    if parse is None:
        return list(values)
    try:
        return [parse(value) for value in values]
    except (ValueError, OverflowError) as e:
        raise fault("InvalidInput", error_message=str(e)) from e


def _times(values: list[str]) -> list[float]:
    try:
        return [clock.parse_iso(value) for value in values]
    except (ValueError, OverflowError) as e:
        message = f"The input changed_since must be in the format of a time: {e}"
        raise fault("InvalidInput", error_message=message) from e


def fields(request: Request) -> set[str]:
    """The attributes asked for; none means all."""
    return {name for name in request.query.all("fields") if name}


def page(resource: Resource, request: Request) -> Page:
    """Order and page. Raises Invalid."""
    keys = [key for key in request.query.all("sort_key") if key]
    directions = [way for way in request.query.all("sort_dir") if way]
    if len(keys) != len(directions):
        raise bad("The number of sort_keys and sort_dirs must be same", "sort_key")
    unknown = [k for k in keys if k not in resource.attrs or not resource.attrs[k].sort]
    if unknown:
        raise bad(f"{unknown} is invalid attribute for sort_keys", "sort_key")
    wrong = [way for way in directions if way not in _DIRECTIONS]
    if wrong:
        raise bad(
            f"{wrong} is invalid value for sort_dirs, valid value is 'asc' and 'desc'", "sort_dir"
        )
    sort = [(field_of(resource.attrs[k]), way) for k, way in zip(keys, directions, strict=True)]
    if all(key != "id" for key, _way in sort):
        sort.append(("id", "asc"))
    limit = _limit(request)
    return Page(
        limit=limit,
        marker=(request.query.get("marker") or None) if limit else None,
        sort=tuple(dict(sort).items()),
        reverse=bool(limit) and request.query.get("page_reverse", "").lower() == "true",
    )


def _limit(request: Request) -> int | None:
    text = request.query.get("limit") or "0"
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise fault(
            "BadRequest",
            resource="limit",
            msg=f"Limit must be an integer 0 or greater and not '{text[:64]}'",
        )
    return min(int(text), LIMIT_MAX) or None


def links(request: Request, wanted: Page, items: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Links to the pages before and after this one."""
    if not wanted.limit:
        return []
    full = len(items) >= wanted.limit
    found = []
    if full or wanted.reverse:
        found.append({"rel": "next", "href": _link(request, items[-1:], reverse=False)})
    if full or not wanted.reverse:
        found.append({"rel": "previous", "href": _link(request, items[:1], reverse=True)})
    return found


def _link(request: Request, edge: list[dict[str, Any]], *, reverse: bool) -> str:
    pairs = [(k, v) for k, v in request.query if k not in ("marker", "page_reverse")]
    pairs += [("marker", item["id"]) for item in edge]
    pairs += [("page_reverse", "True")] if reverse else []
    return f"{request.base_url}{request.path}?{urlencode(pairs)}"
