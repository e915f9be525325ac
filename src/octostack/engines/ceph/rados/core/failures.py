# SPDX-License-Identifier: Apache-2.0
"""What monitors and OSDs answer with a number becomes an error of a kind, and keeps the number.

``error.details["errno"]`` is the positive errno, the code ``rados.enoent`` names it. A comparison
of bytes that failed is a Conflict with ``details["offset"]``, the first byte that differs.
"""

import errno
from typing import Final

from octostack.base import errors
from octostack.base.errors import OctoError

COMPARE_BASE: Final = 4095  # -(4095 + n): byte n is another one
_KINDS: Final[dict[int, type[OctoError]]] = {
    errno.ENOENT: errors.NotFound,
    errno.ENODATA: errors.NotFound,
    errno.ENXIO: errors.Unavailable,
    errno.EEXIST: errors.Conflict,
    errno.EBUSY: errors.Conflict,
    errno.ECANCELED: errors.Conflict,
    errno.ERANGE: errors.Conflict,
    errno.EOVERFLOW: errors.Conflict,
    errno.ENOTEMPTY: errors.Conflict,
    errno.EPERM: errors.Forbidden,
    errno.EACCES: errors.Forbidden,
    errno.EROFS: errors.Forbidden,
    errno.ESHUTDOWN: errors.Forbidden,  # we are on the blocklist
    errno.EINVAL: errors.Invalid,
    errno.ENAMETOOLONG: errors.Invalid,
    errno.EDOM: errors.Invalid,
    errno.EFBIG: errors.TooLarge,
    errno.E2BIG: errors.TooLarge,
    errno.EMSGSIZE: errors.TooLarge,
    errno.ENOSPC: errors.OverQuota,
    errno.EDQUOT: errors.OverQuota,
    errno.EAGAIN: errors.Busy,
    errno.ETIMEDOUT: errors.Timeout,
    errno.ENOTCONN: errors.Unavailable,
    errno.ECONNRESET: errors.Unavailable,
    errno.EIO: errors.Corrupt,
    errno.EILSEQ: errors.Corrupt,
    errno.EOPNOTSUPP: errors.Unsupported,
    errno.ENOSYS: errors.Unsupported,
}


def error_of(result: int, what: str) -> OctoError:
    """The error for a `result` below zero; `what` names the object or the command."""
    number = -result
    if number >= COMPARE_BASE:
        offset = number - COMPARE_BASE
        return errors.Conflict(
            f"{what}: byte {offset} of the comparison is another",
            code="rados.mismatch",
            errno=number,
            offset=offset,
        )
    name = errno.errorcode.get(number, str(number))
    kind = _KINDS.get(number, OctoError)
    return kind(f"{what}: {name}", code=f"rados.{name.lower()}", errno=number)


def errno_of(error: OctoError) -> int:
    """The number an error came with; 0 when it is one of our own."""
    number = error.details.get("errno", 0)
    return number if isinstance(number, int) else 0
