# SPDX-License-Identifier: Apache-2.0
"""One named rule as a service declares it."""

from typing import Any

import msgspec


class Rule(msgspec.Struct, frozen=True):
    """A decision with a name an operator can override.

    `operations` are the (method, path) pairs it guards; a rule without any is a building block.
    """

    name: str
    check: str | list[Any]
    description: str
    operations: tuple[tuple[str, str], ...] = ()
