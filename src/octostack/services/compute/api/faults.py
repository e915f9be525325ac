# SPDX-License-Identifier: Apache-2.0
"""Errors in Compute's own form: one key that names the kind, with a code and a message."""

from octostack.base.errors import OctoError
from octostack.runtime.http import Fault

_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}


def faults(error: OctoError, status: int, _request_id: str) -> Fault:
    """The fault as clients of Compute know it."""
    if status == 406:
        return Fault(status, _not_acceptable(error))
    headers = {"Retry-After": "1"} if status in (413, 429, 503) else {}
    name = _NAMES.get(status, "computeFault")
    return Fault(status, {name: {"code": status, "message": error.message}}, headers)


def _not_acceptable(error: OctoError) -> dict[str, object]:
    """A version out of range is told in the form of the API special interest group."""
    return {
        "errors": [
            {
                "status": 406,
                "code": "compute.microversion-unsupported",
                "title": "Requested microversion is unsupported",
                "detail": error.message,
                "max_version": error.details.get("max_version", ""),
                "min_version": error.details.get("min_version", ""),
                "links": [{"rel": "help", "href": "https://docs.openstack.org/api-guide/compute/"}],
            }
        ]
    }
