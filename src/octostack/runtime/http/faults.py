# SPDX-License-Identifier: Apache-2.0
"""From an error to a status; each API then gives it its own body."""

from typing import Any

import msgspec

from octostack.base.errors import Invalid, OctoError

STATUS = {
    "invalid": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "over_quota": 403,
    "too_large": 413,
    "not_acceptable": 406,
    "busy": 503,
    "unavailable": 503,
    "timeout": 504,
    "corrupt": 500,
    "unsupported": 501,
    "error": 500,
}

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    409: "Conflict",
    412: "Precondition Failed",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    416: "Requested Range Not Satisfiable",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class Fault(msgspec.Struct):
    """An error as it goes out; `body` is JSON unless it is text with its own `content_type`."""

    status: int
    body: Any
    headers: dict[str, str] = {}
    content_type: str = "application/json"


def status_of(error: OctoError) -> int:
    """The HTTP status of an error; ``details["status"]`` names a finer one."""
    return int(error.details.get("status") or STATUS[error.kind])


def method_not_allowed(method: str, allowed: list[str]) -> OctoError:
    """405, with the methods the path knows."""
    return Invalid(
        f"The method {method} is not allowed for this resource.",
        code="method_not_allowed",
        status=405,
        allow=", ".join(sorted(allowed)),
    )


def unsupported_media_type(content_type: str) -> OctoError:
    """415: the body is of a type this route does not read."""
    shown = content_type[:100]
    return Invalid(
        f"Unsupported Content-Type: {shown}", code="media_type", status=415, content_type=shown
    )


def internal(request_id: str) -> OctoError:
    """500: our own mistake; the log knows more under the request's id."""
    return OctoError(
        "An unexpected error prevented the server from fulfilling your request. "
        f"The log has more under {request_id}.",
        code="internal",
    )
