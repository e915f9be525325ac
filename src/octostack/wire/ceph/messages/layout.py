# SPDX-License-Identifier: Apache-2.0
"""One line of the table of messages, and what several of them have in front."""

from typing import Final

import msgspec

from octostack.wire.ceph.codec import Reader, Writer
from octostack.wire.ceph.maps import fields as f
from octostack.wire.ceph.maps.fields import Field, Kind

DATA: Final = "data"


class Message(msgspec.Struct, frozen=True):
    """The base of all messages."""


class Layout(msgspec.Struct, frozen=True):
    """A type of message: number, Ceph's name, the versions that we write, its fields."""

    number: int
    name: str
    kind: type[Message]
    version: int = 1
    compat: int = 1
    fields: tuple[Field, ...] = ()
    has_data: bool = False


def _read_session(r: Reader) -> None:
    r.skip(10)


def _write_session(w: Writer, _: object) -> None:
    w.s16(-1)
    w.u64(0)


# A map's version that the sender has, then two fields that mean nothing any more.
SEEN: Final = (Field("seen", f.U64), Field("", Kind(_read_session, _write_session, 10)))


def optional(kind: Kind) -> Kind:
    """A flag, and the value if it is set."""

    def read(r: Reader) -> object:
        return kind.read(r) if r.boolean() else None

    def write(w: Writer, value: object) -> None:
        w.boolean(value is not None)
        if value is not None:
            kind.write(w, value)

    return Kind(read, write, 1)
