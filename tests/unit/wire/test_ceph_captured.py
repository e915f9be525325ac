# SPDX-License-Identifier: Apache-2.0
"""What Ceph's own daemons and clients of release 16.2.15 said: read, understood, written again.

tests/vectors/ceph/README.md tells how it was captured.
"""

import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from octostack.wire.ceph import frames, handshake, messages, secure
from octostack.wire.ceph.addresses import EntityType
from octostack.wire.ceph.cephx import boxes, client, keyring, server, tickets
from octostack.wire.ceph.codec import Reader
from octostack.wire.ceph.frames import Tag
from octostack.wire.ceph.link import Envelope, _envelope
from octostack.wire.ceph.messages import cluster, osdop

VECTORS = Path(__file__).parents[2] / "vectors" / "ceph" / "wire"
FILES = sorted(path.name for path in VECTORS.glob("*.json"))
assert FILES, "no vectors found"


class Side:
    """One direction of a connection: its bytes, and what they were up to some frame."""

    def __init__(self, data: str) -> None:
        self.data = base64.b64decode(data)
        self.receiver = frames.Receiver()
        self.receiver.transcript = bytearray()
        self.at = 0
        self.take(handshake.BANNER_BYTES)

    def take(self, count: int) -> bytes:
        self.fill()
        found = self.receiver.take(count)
        assert found is not None
        return found

    def fill(self) -> None:
        while self.at < len(self.data):
            room = self.receiver.buffer()
            count = min(len(room), len(self.data) - self.at)
            if not count:
                return
            room[:count] = self.data[self.at : self.at + count]
            self.receiver.received(count)
            self.at += count

    def next(self) -> frames.Frame | None:
        self.fill()
        return self.receiver.next_frame()

    def control(self) -> handshake.Control:
        frame = self.next()
        assert frame is not None
        control = handshake.decode(frame.tag, frame.segments)
        assert handshake.encode(control) == (frame.tag, bytes(frame.segments[0]))
        return control

    @property
    def said(self) -> bytes:
        assert self.receiver.transcript is not None
        return bytes(self.receiver.transcript)

    def messages(self) -> Iterator[Envelope]:
        while (frame := self.next()) is not None:
            if frame.tag == frames.MESSAGE:
                yield _envelope(frame.segments)
            else:
                control = handshake.decode(frame.tag, frame.segments)
                assert handshake.encode(control) == (Tag(frame.tag), bytes(frame.segments[0]))


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((VECTORS / name).read_text())
    return found


class Conversation:
    """A captured connection, read up to its first message with the client's key."""

    def __init__(self, entry: dict[str, Any], wallet: client.Wallet | None) -> None:
        self.client, self.server = Side(entry["client"]), Side(entry["server"])
        self.wallet = wallet
        self.mode = 0
        there, here = self.server.control(), self.client.control()
        assert isinstance(there, handshake.Hello)
        assert isinstance(here, handshake.Hello)
        self.server_type = there.entity_type
        key, secret = self.authenticate()
        expected = [_signed(key, side.said) for side in (self.server, self.client)]
        if self.mode == handshake.MODE_SECURE:
            self.server.receiver.opener = secure.streams(secret, client=True)[1]
            self.client.receiver.opener = secure.streams(secret, client=False)[1]
        assert self.client.control() == handshake.AuthSignature(expected[0])
        assert self.server.control() == handshake.AuthSignature(self.server_signature)
        assert isinstance(self.client.control(), handshake.ClientIdent)
        ident = self.server.control()
        assert isinstance(ident, handshake.ServerIdent)
        assert (ident.flags, ident.cookie) == (handshake.FLAG_LOSSY, 0)
        assert ident.features == handshake.FEATURES

    def authenticate(self) -> tuple[bytes, bytes]:
        """(session key, connection secret), as the client must have found them."""
        first = self.client.control()
        assert isinstance(first, handshake.AuthRequest)
        heard = b""
        question = b""
        answer = self.server.control()
        if isinstance(answer, handshake.AuthReplyMore):
            question = answer.payload
            more = self.client.control()
            assert isinstance(more, handshake.AuthRequestMore)
            heard = more.payload
            answer = self.server.control()
        assert isinstance(answer, handshake.AuthDone)
        self.mode = answer.mode
        key = secret = b""
        if self.wallet is not None and self.server_type == EntityType.MON:
            key, secret = self.at_monitor(self.wallet, question, heard, answer)
        elif self.wallet is not None:
            key, secret = self.at_service(self.wallet, question, heard, answer)
        self.server_signature = _signed(key, self.client.said)
        return key, secret

    def at_monitor(
        self, wallet: client.Wallet, question: bytes, heard: bytes, done: handshake.AuthDone
    ) -> tuple[bytes, bytes]:
        r = Reader(heard)
        assert r.u16() == tickets.GET_AUTH_SESSION_KEY
        asked = tickets.read_authenticate(r)
        challenge = tickets.read_challenge(question)
        assert asked.proof == boxes.proof(wallet.key, challenge, asked.client_challenge)
        granted = client.MonClient(wallet).done(done)
        assert (granted.mode, len(granted.connection_secret)) == (handshake.MODE_SECURE, 64)
        return granted.session_key, granted.connection_secret

    def at_service(
        self, wallet: client.Wallet, question: bytes, heard: bytes, done: handshake.AuthDone
    ) -> tuple[bytes, bytes]:
        key = wallet.tickets[self.server_type].session_key
        challenge = boxes.unseal(key, question, lambda r: (r.u8(), r.u64())[1])
        shown = tickets.read_authorizer(Reader(heard))
        assert shown.blob == wallet.tickets[self.server_type].blob
        said = tickets.open_authorize(key, shown.box)
        assert said.challenge_plus_one == challenge + 1
        nonce, secret = tickets.open_authorize_reply(key, Reader(done.payload).bytes())
        assert nonce == said.nonce + 1
        return key.secret, secret


def _signed(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, hashlib.sha256) if key else bytes(32)


def conversations(name: str) -> Iterator[Conversation]:
    whole = load(name)
    key = keyring.parse(whole["keyring"])["client.admin"].key
    senses = server.Senses(lambda: 0, bytes)
    for entry in sorted(whole["connections"], key=lambda e: e["server_port"]):
        wallet = None
        if name.endswith("-cephx.json"):
            known = wallets.setdefault(name, client.Wallet("client.admin", key, senses, 0))
            wallet = known
        yield Conversation(entry, wallet)


wallets: dict[str, client.Wallet] = {}


def again(envelope: Envelope) -> tuple[bytes, bytes]:
    """What we would send for a message that came: front and data."""
    if envelope.type == osdop.OSD_OP:
        out = osdop.encode_op(osdop.decode_op(envelope))
    elif envelope.type == osdop.OSD_OP_REPLY:
        out = osdop.encode_reply(osdop.decode_reply(envelope))
    else:
        out = messages.encode(messages.decode(envelope))
    return out.front, bytes(out.data)


@pytest.mark.parametrize("name", FILES)
def test_every_connection_is_understood(name: str) -> None:
    seen: Counter[str] = Counter()
    for conversation in conversations(name):
        for side in (conversation.client, conversation.server):
            for envelope in side.messages():
                kind = _name(envelope.type)
                seen[kind] += 1
                assert again(envelope) == (bytes(envelope.front), bytes(envelope.data)), kind
            assert side.at == len(side.data)
    assert {"mon_getmap", "mon_map", "mon_subscribe", "config", "mgrmap", "osd_map"} <= set(seen)


def test_together_they_say_all_that_rados_needs() -> None:
    seen = {
        _name(envelope.type)
        for name in FILES
        for conversation in conversations(name)
        for side in (conversation.client, conversation.server)
        for envelope in side.messages()
    }
    assert {"osd_op", "osd_op_reply", "pool_op", "pool_op_reply", "statfs", "getpoolstats"} <= seen


def test_a_write_says_what_was_written() -> None:
    ops = [
        osdop.decode_op(envelope)
        for conversation in conversations("rados-put-cephx.json")
        for envelope in conversation.client.messages()
        if envelope.type == osdop.OSD_OP
    ]
    [write] = ops
    assert write.name == b"golden"
    assert [bytes(op.payload) for op in write.ops if len(op.payload)] == [b"hello\n"]


def _name(number: int) -> str:
    if number in (osdop.OSD_OP, osdop.OSD_OP_REPLY):
        return "osd_op" if number == osdop.OSD_OP else "osd_op_reply"
    layout = messages.find_layout(number)
    assert layout is not None, number
    return layout.name


def test_the_table_has_each_type_once() -> None:
    numbers = [layout.number for layout in messages.TABLE]
    assert len(numbers) == len(set(numbers))
    for layout in messages.TABLE:
        fields = {f.name for f in msgspec.structs.fields(layout.kind)}
        named = {field.name for field in layout.fields if field.name}
        assert fields == named | ({"data"} if layout.has_data else set()), layout.name


def test_lines_of_the_clusters_log() -> None:
    told = [bytes.fromhex(line) for line in (VECTORS / "log.hex").read_text().split()]
    assert told
    found = []
    for front in told:
        message = messages.decode(Envelope(52, 1, 1, 0, 0, 0, 0, front, b"", b""))
        assert isinstance(message, cluster.Log)
        assert bytes(messages.encode(message).front) == front
        found += [(line.who, line.number, line.channel) for line in message.lines]
    assert found[0] == ("mgr.x", 4182, "cluster")
    assert ("mon.b", 2, "audit") in found
