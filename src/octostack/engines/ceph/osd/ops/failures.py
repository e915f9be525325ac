# SPDX-License-Identifier: Apache-2.0
"""Why an operation fails, in the numbers of Linux that clients expect of an OSD; or stops."""

import errno

from octostack.wire.ceph.objects import HObject

CMPEXT_BASE = 4095  # a compare that differs at byte n answers -(4095 + n)


class OpError(Exception):
    """Ends the operation, and the vector unless it may fail; `number` is an errno."""

    def __init__(self, number: int, why: str = "") -> None:
        super().__init__(why or errno.errorcode.get(number, str(number)))
        self.number = number


class NeedsBytes(Exception):
    """So much must be read that others go on meanwhile."""

    def __init__(self, what: HObject, offset: int, length: int) -> None:
        super().__init__(f"{length} bytes of {what} at {offset}")
        self.what = what
        self.offset = offset
        self.length = length

    @property
    def key(self) -> tuple[HObject, int, int]:
        """Under which the bytes, or why there are none, stand in `OpContext.sources`."""
        return self.what, self.offset, self.length


def require(holds: object, number: int) -> None:
    """Raises OpError unless the condition holds."""
    if not holds:
        raise OpError(number)
