# SPDX-License-Identifier: Apache-2.0
"""What a command comes to: an answer, and perhaps a change of the state."""

from typing import Any

import msgspec

from octostack.engines.ceph.mon.core.state import Change
from octostack.wire.ceph.messages.layout import Message


class Failure(Exception):
    """A command, or another request, that cannot be done: a positive errno and a line of why.

    Some say more in an output.
    """

    def __init__(self, number: int, text: str, output: bytes = b"") -> None:
        super().__init__(text)
        self.number = number
        self.text = text
        self.output = output


class Answer(msgspec.Struct, frozen=True):
    """An output for people or programs, a line of status, and what is to be changed first.

    `orders` go to OSDs at once.
    """

    output: bytes = b""
    status: str = ""
    change: Change | None = None
    orders: tuple[tuple[int, Message], ...] = ()

    def saying(self, status: str) -> "Answer":
        """The same with a line of status."""
        return msgspec.structs.replace(self, status=status)


def formatted(value: Any, style: str, text: str = "") -> bytes:
    """As the caller wants it: JSON, JSON for people, or `text`."""
    if style == "json":
        return msgspec.json.encode(value) + b"\n"
    if style in {"json-pretty", "xml", "yaml"} or not text:
        return msgspec.json.format(msgspec.json.encode(value), indent=4) + b"\n"
    return text.encode()
