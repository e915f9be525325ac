# SPDX-License-Identifier: Apache-2.0
"""One HTTP API of a service, as data."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from octostack.base.errors import OctoError
from octostack.runtime.http.faults import Fault
from octostack.runtime.http.request import Checker
from octostack.runtime.http.route import Route
from octostack.runtime.http.versions import Microversions

# An error, the status it would have and the request's id become the API's own fault.
Faults = Callable[[OctoError, int, str], Fault]


class Api(msgspec.Struct, kw_only=True):
    """A route table under a prefix, with what its handlers and faults need.

    `app` is handed to every handler: the service's own dependencies. `request_id_headers` all
    carry the request's id. With `strict_slash` a path that ends in a slash is another path, and
    not found: ``GET /images/`` is a request for the image without a name. With `strict_types` a
    body must say that it is JSON, and who reads must accept that.
    """

    name: str
    prefix: str
    routes: Sequence[Route]
    faults: Faults
    app: Any
    policy: Checker | None = None
    microversions: Microversions | None = None
    request_id_headers: tuple[str, ...] = ("x-openstack-request-id",)
    headers: Mapping[str, str] = {}
    strict_slash: bool = False
    strict_types: bool = False
