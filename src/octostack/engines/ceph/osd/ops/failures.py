# SPDX-License-Identifier: Apache-2.0
"""Why an operation fails, in the numbers of Linux that clients expect of an OSD."""

import errno

CMPEXT_BASE = 4095  # a compare that differs at byte n answers -(4095 + n)


class OpError(Exception):
    """Ends the operation, and the vector unless it may fail; `number` is an errno."""

    def __init__(self, number: int, why: str = "") -> None:
        super().__init__(why or errno.errorcode.get(number, str(number)))
        self.number = number


def require(holds: object, number: int) -> None:
    """Raises OpError unless the condition holds."""
    if not holds:
        raise OpError(number)
