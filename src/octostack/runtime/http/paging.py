# SPDX-License-Identifier: Apache-2.0
"""``limit``, ``marker`` and sort parameters of a request."""

from collections.abc import Collection

from octostack.base import limits
from octostack.base.errors import Invalid
from octostack.runtime.db import Page
from octostack.runtime.http.request import Request


def parse(
    request: Request,
    sort_keys: Collection[str],
    default_sort: tuple[tuple[str, str], ...],
    max_limit: int | None = limits.PAGE_MAX,
) -> Page:
    """The page that `request` asks for; a larger limit than `max_limit` is cut to it.

    The unique last key of `default_sort` is always appended, so that the order is total.
    Raises Invalid naming the parameter.
    """
    limit = _limit(request.query.get("limit"), max_limit)
    sort = _sort(request, sort_keys) or default_sort
    last = default_sort[-1]
    if all(key != last[0] for key, _ in sort):
        sort = (*sort, last)
    return Page(limit=limit, marker=request.query.get("marker") or None, sort=sort)


def _limit(text: str | None, max_limit: int | None) -> int | None:
    if text is None or text == "":
        return max_limit
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise Invalid(
            f"limit must be an integer of 0 or more, not '{text[:50]}'", code="limit", field="limit"
        )
    limit = int(text)
    return limit if max_limit is None else min(limit, max_limit)


def _sort(request: Request, sort_keys: Collection[str]) -> tuple[tuple[str, str], ...]:
    keys = [k for k in request.query.all("sort_key") if k]
    directions = [d for d in request.query.all("sort_dir") if d]
    pairs = [(k, directions[i] if i < len(directions) else "asc") for i, k in enumerate(keys)]
    for key, direction in pairs:
        if key not in sort_keys:
            raise Invalid(f"Unable to sort by '{key[:50]}'", code="sort_key", field="sort_key")
        if direction not in ("asc", "desc"):
            raise Invalid(f"sort_dir '{direction[:50]}' must be asc or desc", code="sort_dir",
                          field="sort_dir")  # fmt: skip
    return tuple(pairs)
