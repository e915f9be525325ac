# SPDX-License-Identifier: Apache-2.0
"""Identifiers: version 4 UUIDs out of the clock seam's randomness (RFC 9562 §5.4)."""

import uuid

from octostack.base import clock


def new() -> str:
    """A UUID with dashes, as Nova, Neutron and Glance write them."""
    return str(uuid.UUID(bytes=clock.token_bytes(16), version=4))


def new_hex() -> str:
    """A UUID of 32 hex digits, as Keystone writes them."""
    return uuid.UUID(bytes=clock.token_bytes(16), version=4).hex


def new_request() -> str:
    """A request id as every OpenStack service sends it: ``req-`` and a UUID."""
    return "req-" + new()
