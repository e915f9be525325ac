# SPDX-License-Identifier: Apache-2.0
"""QEMU's machine protocol (docs/interop/qmp-spec): JSON, one message a line.

`Codec` turns bytes into messages and commands into bytes; who reads and writes them is not its
business. What QEMU sends is not trusted more than need be: a line has a bound and a form.
"""

from typing import Any, TypeAlias

import msgspec

from octostack.base.errors import Corrupt

LINE_BYTES_MAX = 16 << 20


class Greeting(msgspec.Struct, frozen=True):
    """The first line: (major, minor, micro) of the QEMU that speaks."""

    version: tuple[int, int, int]


class Return(msgspec.Struct, frozen=True):
    """The answer to the command sent with `id`."""

    id: int
    value: Any


class Failure(msgspec.Struct, frozen=True):
    """The command sent with `id` (None: one that could not be read) was refused."""

    id: int | None
    kind: str
    description: str


class Event(msgspec.Struct, frozen=True):
    """Something that happened by itself; `at` in seconds since the epoch, on QEMU's clock."""

    name: str
    data: dict[str, Any]
    at: float


Message: TypeAlias = Greeting | Return | Failure | Event


class Codec:
    """One connection's side of the protocol."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes. Raises Corrupt."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_BYTES_MAX:
            raise Corrupt("QMP line without end", code="qmp.line")
        return [_decode(line) for line in lines if line.strip()]


def encode(command: str, arguments: dict[str, Any] | None, request_id: int) -> bytes:
    """A command as it goes over the wire."""
    message: dict[str, Any] = {"execute": command, "id": request_id}
    if arguments:
        message["arguments"] = arguments
    return msgspec.json.encode(message) + b"\n"


def _decode(line: bytes) -> Message:
    try:
        message = msgspec.json.decode(line)
        if "return" in message:
            return Return(message["id"], message["return"])
        if "event" in message:
            stamp = message.get("timestamp", {})
            at = stamp.get("seconds", 0) + stamp.get("microseconds", 0) / 1e6
            return Event(message["event"], message.get("data", {}), at)
        if "error" in message:
            error = message["error"]
            return Failure(message.get("id"), error["class"], error["desc"])
        version = message["QMP"]["version"]["qemu"]
        return Greeting((version["major"], version["minor"], version["micro"]))
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as e:
        raise Corrupt(f"not a QMP message: {line[:80]!r}", code="qmp.message") from e
