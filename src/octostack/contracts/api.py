# SPDX-License-Identifier: Apache-2.0
"""A request to a service's own API that another part makes for a user.

Compute's retired proxies (security groups, floating ips, networks, images) are made of these: the
service they lead to applies its own policy, quota and words, as if the user had come itself.
"""

import msgspec


class ApiCall(msgspec.Struct, frozen=True, kw_only=True):
    """One request; `path` is below the service's prefix, `body` is JSON or empty."""

    method: str = "GET"
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    content_type: str = "application/json"
