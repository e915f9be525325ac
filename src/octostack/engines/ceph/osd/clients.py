# SPDX-License-Identifier: Apache-2.0
"""A client's connection and its operations, as groups know them: messages to requests and back."""

from octostack.engines.ceph.osd.requests import OpReply, OpRequest, ReqId, Session, WatchEvent
from octostack.runtime.msgr.connection import Connection
from octostack.wire.ceph import messages
from octostack.wire.ceph.addresses import Address, AddressKind
from octostack.wire.ceph.link import Outgoing
from octostack.wire.ceph.messages.client import WatchNotify
from octostack.wire.ceph.messages.osdop import OSDOp, OSDOpReply, encode_answer
from octostack.wire.ceph.objects import HObject

_ANSWERED = 1  # the flag CEPH_OSD_FLAG_ACK, which every reply has


class ClientSession(Session):
    """One connection. `shared_epoch` is the newest map that went over it."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        identity = conn.identity
        self.client = identity.global_id if identity is not None else 0
        peer = conn.peer_addresses
        host, port = conn.peer_place
        nonce = peer[0].nonce if peer else 0
        self.address = Address(AddressKind.ANY, host, port, nonce)
        self.shared_epoch = 0

    def send_notify(self, event: WatchEvent) -> None:
        """Send a MWatchNotify; dropped when the connection has gone."""
        message = WatchNotify(
            event.opcode,
            event.cookie,
            event.notify_id,
            event.payload,
            event.result,
            event.notifier,
            event.version,
            event.data,
        )
        self.conn.send(messages.encode(message))


def request_of(op: OSDOp, session: ClientSession) -> OpRequest:
    """What a group is asked."""
    locator = op.locator
    what = HObject(op.name, locator.key, op.snap, op.hash, False, locator.namespace, op.pg.pool)
    return OpRequest(
        ReqId(session.client, op.tid, op.client_inc),
        what,
        op.ops,
        op.flags,
        session,
        op.mtime,
        op.snap_seq,
        list(op.snaps),
        op.epoch,
        op.attempt,
    )


def answer_of(op: OSDOp, reply: OpReply, epoch: int) -> Outgoing:
    """The message that tells a group's answer."""
    told = OSDOpReply(
        op.name,
        op.pg,
        op.flags | _ANSWERED,
        reply.result,
        epoch,
        op.ops,
        reply.results,
        op.attempt,
        reply.version,
        reply.user_version,
        op.tid,
    )
    return encode_answer(told, reply.outputs)


def refusal_of(op: OSDOp, result: int, epoch: int) -> Outgoing:
    """An answer that was not asked of a group."""
    count = len(op.ops)
    return answer_of(op, OpReply(result, [b""] * count, [0] * count), epoch)
