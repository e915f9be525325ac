# SPDX-License-Identifier: Apache-2.0
"""Authentication by saying one's name, where the cluster is configured so (``auth = none``)."""

from collections.abc import Callable
from typing import Final

import msgspec

from octostack.base.errors import Unauthorized
from octostack.wire.ceph import handshake
from octostack.wire.ceph.addresses import TYPE_NAMES, EntityType
from octostack.wire.ceph.codec import Malformed, Reader, Writer
from octostack.wire.ceph.link import Grant, Granted, More, Refused

MODE_AUTHORIZER: Final = 1
MODE_MON: Final = 10
ALL: Final = "allow *"  # what everybody may where nobody is asked who they are
EACCES: Final = -13
EOPNOTSUPP: Final = -95


class Claim(msgspec.Struct, frozen=True):
    """What a client says first, with every method: an authorizer of a service has mode 1."""

    mode: int
    entity_type: int
    entity_id: str
    global_id: int

    @property
    def entity(self) -> str:
        """``client.admin``, ``osd.0``."""
        kind = TYPE_NAMES[EntityType(self.entity_type)] if self.entity_type in TYPE_NAMES else "?"
        return f"{kind}.{self.entity_id}"


def read_claim(payload: bytes) -> Claim:
    """Raises Malformed."""
    r = Reader(payload)
    mode = r.u8()
    if mode not in {MODE_AUTHORIZER, MODE_MON}:
        raise Malformed(f"authentication mode {mode}")
    return Claim(mode, r.u32(), r.string(), r.u64())


def write_claim(claim: Claim) -> bytes:
    """The payload of a first request."""
    w = Writer()
    w.u8(claim.mode)
    w.u32(claim.entity_type)
    w.string(claim.entity_id)
    w.u64(claim.global_id)
    return w.done()


class NoneClient:
    """Says a name."""

    def __init__(self, entity_type: int, entity_id: str, global_id: int = 0) -> None:
        self._entity = (entity_type, entity_id, global_id)

    def begin(self, server_type: int) -> handshake.AuthRequest:
        """The claim; a monitor gives a global id."""
        mode = MODE_MON if server_type == EntityType.MON else MODE_AUTHORIZER
        payload = write_claim(Claim(mode, *self._entity))
        return handshake.AuthRequest(handshake.METHOD_NONE, (handshake.MODE_CRC,), payload)

    def refused(self, answer: handshake.AuthBadMethod) -> handshake.AuthRequest:
        """There is no other way."""
        raise Unauthorized(f"The server wants another method than none: {answer.methods}")

    def more(self, payload: bytes) -> bytes:
        """Nothing more can be said."""
        raise Malformed("a question where none can be")

    def done(self, answer: handshake.AuthDone) -> Granted:
        """A global id, and nothing else."""
        return Granted(answer.global_id)


class NoneServer:
    """Believes the name."""

    def __init__(self, new_global_id: Callable[[], int]) -> None:
        self._new_global_id = new_global_id

    def request(self, client_type: int, asked: handshake.AuthRequest) -> Refused | More | Granted:
        """Grant, keeping a global id that the client has already."""
        if asked.method != handshake.METHOD_NONE:
            return Refused(EOPNOTSUPP, (handshake.METHOD_NONE,), (handshake.MODE_CRC,))
        if handshake.MODE_CRC not in asked.modes:
            return Refused(EACCES, (handshake.METHOD_NONE,), (handshake.MODE_CRC,))
        claim = read_claim(asked.payload)
        global_id = claim.global_id or self._new_global_id()
        return Granted(global_id, grant=Grant(claim.entity, global_id, ALL))

    def more(self, payload: bytes) -> Refused | More | Granted:
        """There is no second round."""
        raise Malformed("an answer to no question")
