# SPDX-License-Identifier: Apache-2.0
"""The kinds of failure, shared by every part.

Each kind has a stable machine code; a caller may give a finer one (``code="NetworkNotFound"``).
Front ends map a kind to their own status and body in one place. Errors cross the bus intact.

    OctoError
    ├─ Invalid        the request is wrong; ``details["field"]`` names what
    ├─ Unauthorized   who are you
    ├─ Forbidden      you may not, and you may know that it exists
    ├─ NotFound       it is not there, or you may not know that it is
    ├─ Conflict       the present state forbids it
    ├─ OverQuota      a limit of the project is reached
    ├─ TooLarge       the input passes a limit of ours
    ├─ NotAcceptable  a version or form we do not speak
    ├─ Busy           too much at once; try again later
    ├─ Unavailable    a part we need cannot be reached
    ├─ Timeout        a part we need did not answer in time
    ├─ Corrupt        stored bytes are not what was written
    └─ Unsupported    known, and not offered here
"""

from typing import Any, ClassVar


class OctoError(Exception):
    """A failure with a stable code, a message for people and details for programs."""

    kind: ClassVar[str] = "error"

    def __init__(self, message: str = "", *, code: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.kind
        self.details = details


class Invalid(OctoError):
    """The request is wrong; ``details["field"]`` names the attribute where one is known."""

    kind = "invalid"


class Unauthorized(OctoError):
    """No valid credentials came with the request."""

    kind = "unauthorized"


class Forbidden(OctoError):
    """The caller may know of the thing but may not do this to it."""

    kind = "forbidden"


class NotFound(OctoError):
    """The thing does not exist, or the caller may not know that it does."""

    kind = "not_found"


class Conflict(OctoError):
    """The present state of things forbids it."""

    kind = "conflict"


class OverQuota(OctoError):
    """A limit set for the project is reached."""

    kind = "over_quota"


class TooLarge(OctoError):
    """The input is larger than we take."""

    kind = "too_large"


class NotAcceptable(OctoError):
    """A version or a form of answer that we do not speak."""

    kind = "not_acceptable"


class Busy(OctoError):
    """Too much at once; the same request may succeed later."""

    kind = "busy"


class Unavailable(OctoError):
    """A part that is needed cannot be reached."""

    kind = "unavailable"


class Timeout(OctoError):
    """A part that is needed did not answer in time."""

    kind = "timeout"


class Corrupt(OctoError):
    """Stored or received bytes are not what was written."""

    kind = "corrupt"


class Unsupported(OctoError):
    """Known to the API and not offered here."""

    kind = "unsupported"


KINDS: dict[str, type[OctoError]] = {
    cls.kind: cls
    for cls in (
        OctoError,
        Invalid,
        Unauthorized,
        Forbidden,
        NotFound,
        Conflict,
        OverQuota,
        TooLarge,
        NotAcceptable,
        Busy,
        Unavailable,
        Timeout,
        Corrupt,
        Unsupported,
    )
}
