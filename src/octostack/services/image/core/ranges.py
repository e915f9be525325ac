# SPDX-License-Identifier: Apache-2.0
"""The part of an image that a download asks for (RFC 9110 §14)."""

import re
from typing import NamedTuple

from octostack.base.errors import Invalid, OctoError

_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,20})\s*-\s*([0-9]{0,20})\s*")
_CONTENT_RANGE = re.compile(r"\s*bytes\s+([0-9]{1,20})-([0-9]{1,20})/([0-9]{1,20}|\*)\s*")


class Part(NamedTuple):
    """Bytes `start` to `stop`, `stop` not included."""

    start: int
    stop: int

    def content_range(self, size: int) -> str:
        """The header that names this part of `size` bytes."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


def asked(range_header: str | None, content_range: str | None, size: int) -> Part | None:
    """The part asked for, None for the whole. Raises Invalid (status 416 or 400).

    Glance has long taken a Content-Range header in a request for a Range, and still does.
    """
    if range_header is not None:
        if "," in range_header:
            raise Invalid(
                "Requests with multiple ranges are not supported in Glance. Instead issue a "
                "separate request for each range.",
                field="range",
            )
        return _range(range_header, size)
    if content_range is not None:
        match = _CONTENT_RANGE.fullmatch(content_range)
        if match is None or not int(match[1]) <= int(match[2]) < size:
            raise _unsatisfiable("Invalid Content-Range header.")
        return Part(int(match[1]), int(match[2]) + 1)
    return None


def _range(header: str, size: int) -> Part:
    match = _RANGE.fullmatch(header)
    if match is None or not (match[1] or match[2]):
        raise _unsatisfiable("Invalid Range header.")
    if not match[1]:  # the last n bytes
        wanted = int(match[2])
        if not wanted or not size:
            raise _unsatisfiable("Invalid Range header.")
        return Part(max(size - wanted, 0), size)
    start = int(match[1])
    if start >= size:
        raise _unsatisfiable(
            "Invalid start position in Range header. Start position MUST be in the inclusive "
            f"range [0, {max(size - 1, 0)}]."
        )
    stop = min(int(match[2]) + 1, size) if match[2] else size
    if stop <= start:
        raise _unsatisfiable("Invalid Range header.")
    return Part(start, stop)


def _unsatisfiable(message: str) -> OctoError:
    return Invalid(message, code="image.range", field="range", status=416)
