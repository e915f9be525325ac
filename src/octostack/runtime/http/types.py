# SPDX-License-Identifier: Apache-2.0
"""Media types, for an API that insists on them."""

from octostack.base.errors import Invalid, NotAcceptable
from octostack.runtime.http import faults
from octostack.runtime.http.request import JSON_TYPE, Request
from octostack.runtime.http.route import PUBLIC, Route


def require_json(route: Route, request: Request, size_bytes: int | None) -> None:
    """A body must say that it is JSON, and a reader must accept it.

    Raises Invalid (400 without a type, 415 where there is neither type nor body), NotAcceptable.
    """
    given = request.headers.get("content-type", "")
    if route.body is not None and not given:
        if size_bytes:
            raise Invalid("content-type header required", code="media_type.missing")
        raise faults.unsupported_media_type("None")
    if request.method in ("GET", "HEAD") and route.rule != PUBLIC and not _accepts(request):
        raise NotAcceptable(f"Only {JSON_TYPE} is provided", code="accept")


def _accepts(request: Request) -> bool:
    asked = request.headers.get("accept", "") or "*/*"
    for part in asked.split(","):
        kind, *parameters = (word.strip().lower() for word in part.split(";"))
        is_refused = any(p.replace(" ", "") in ("q=0", "q=0.0") for p in parameters)
        if kind in (JSON_TYPE, "application/*", "*/*") and not is_refused:
            return True
    return False
