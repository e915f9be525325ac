# SPDX-License-Identifier: Apache-2.0
"""Lists: filters by attribute (exact or ``name__icontains``), pages by limit and marker."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar, get_args
from urllib.parse import urlencode

import msgspec

from octostack.base.errors import Invalid
from octostack.runtime.http import Request
from octostack.services.identity.api.app import App
from octostack.services.identity.model import JSON
from octostack.services.identity.schema import base
from octostack.services.identity.store import rows

T = TypeVar("T", bound=msgspec.Struct)

LIMIT_MAX = 10_000
_FALSE = ("0", "false", "no", "n", "f", "off")


def is_true(text: str | None) -> bool:
    """A flag of a query, where an empty value means true (``?effective``)."""
    return text is not None and text.strip().lower() not in _FALSE


def listing(
    req: Request, strings: Sequence[str] = (), booleans: Sequence[str] = ()
) -> rows.Listing:
    """The rows that the query asks for. Raises Invalid for a limit that is none."""
    equal: JSON = {}
    matches: list[rows.Match] = []
    for name in strings:
        value = req.query.get(name)
        if value is not None:
            equal[name] = value or None
    for name in booleans:
        if name in req.query:
            equal[name] = is_true(req.query.get(name))
    for key, value in req.query:
        name, separator, operator = key.partition("__")
        ignore_case = operator.startswith("i")
        plain = operator[1:] if ignore_case else operator
        if separator and name in strings and plain in get_args(rows.Operator):
            matches.append(rows.Match(name, plain, value, ignore_case))  # type: ignore[arg-type]
    return rows.Listing(
        equal=equal,
        matches=tuple(matches),
        limit=_limit(req.query.get("limit")),
        marker=req.query.get("marker") or None,
    )


async def find(app: App, kind: rows.Kind[T], wanted: rows.Listing) -> list[T]:
    """The rows of `wanted`, and one more where there are more."""
    more = None if wanted.limit is None else wanted.limit + 1
    async with app.db.read() as tx:
        return await rows.list_all(tx, kind, msgspec.structs.replace(wanted, limit=more))


def answer(
    app: App,
    req: Request,
    key: str,
    found: Iterable[T],
    view: Callable[[T], JSON],
) -> JSON:
    """A list as it goes out, cut to the limit asked for, with the link to what follows."""
    items = list(found)
    limit = _limit(req.query.get("limit"))
    following = None
    if limit is not None and len(items) > limit:
        items = items[:limit]
        if items:
            pairs = [(k, v) for k, v in req.query if k != "marker"]
            marker = getattr(items[-1], "id", "")
            following = f"{_url(app, req)}?{urlencode([*pairs, ('marker', marker)])}"
    shown = [view(item) for item in items]
    url = _url(app, req)
    if req.query.pairs:
        url += "?" + urlencode(req.query.pairs)
    return {key: shown, "links": base.collection_links(url, following=following)}


def _url(app: App, req: Request) -> str:
    return app.public_url + "/identity" + req.path


def _limit(text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise Invalid(f"limit must be an integer of 0 or more, not '{text[:50]}'.", field="limit")
    return min(int(text), LIMIT_MAX)
