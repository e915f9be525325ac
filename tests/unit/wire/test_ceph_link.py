# SPDX-License-Identifier: Apache-2.0
"""Two links and their sessions, joined by nothing but bytes."""

import random
from collections.abc import Sequence

import pytest

from octostack.wire.ceph import frames, handshake
from octostack.wire.ceph.addresses import Address, EntityType
from octostack.wire.ceph.auth_none import NoneClient, NoneServer
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.link import Authenticated, Envelope, Event, Grant, Link, Outgoing, State
from octostack.wire.ceph.session import (
    LOSSLESS_PEER,
    LOSSY_CLIENT,
    STATELESS_SERVER,
    Outcome,
    Phase,
    Policy,
    Session,
    Verdict,
    judge_ident,
    judge_reconnect,
    order_of,
)

A = Address(2, "127.0.0.1", 6800, 1)
B = Address(2, "127.0.0.1", 6802, 2)


def output(link: Link) -> bytes:
    return b"".join(bytes(b) for b in link.take_output())


def pair() -> tuple[Link, Link]:
    client = Link(EntityType.CLIENT, B, client=NoneClient(EntityType.CLIENT, "admin"))
    server = Link(EntityType.OSD, A, server=NoneServer(lambda: 4100))
    client.start()
    server.start()
    return client, server


def exchange(one: Link, other: Link) -> tuple[list[Event], list[Event]]:
    heard: tuple[list[Event], list[Event]] = [], []
    while one.has_output or other.has_output:
        heard[1].extend(other.feed(output(one)))
        heard[0].extend(one.feed(output(other)))
    return heard


def opened(
    client_policy: Policy = LOSSY_CLIENT, server_policy: Policy = STATELESS_SERVER
) -> tuple[Link, Link, Session, Session]:
    client, server = pair()
    exchange(client, server)
    mine = Session(client_policy, (A,), 0, 11)
    theirs = Session(server_policy, (B,), 3, 0)
    mine.begin(client, B, 1)
    _, [ident] = exchange(client, server)
    assert isinstance(ident, handshake.ClientIdent)
    theirs.take_ident(server, ident, 22, 1)
    [answer], _ = exchange(client, server)
    assert mine.hear(answer, B) is Outcome.OPENED  # type: ignore[arg-type]
    return client, server, mine, theirs


def test_both_sides_know_each_other() -> None:
    client, server = pair()
    [mine], [theirs] = exchange(client, server)
    assert mine == Authenticated(EntityType.OSD, 4100, A, None)
    grant = Grant("client.admin", 4100, "allow *")
    assert theirs == Authenticated(EntityType.CLIENT, 4100, B, grant)
    assert client.state is server.state is State.SESSION


def test_messages_flow_both_ways() -> None:
    client, server, mine, theirs = opened()
    mine.send(Outgoing(42, b"front", version=8, compat=3, tid=9, data=b"d" * 70_000))
    theirs.send(Outgoing(43, b"reply", tid=9))
    [reply], [request] = exchange(client, server)
    assert isinstance(request, Envelope)
    assert isinstance(reply, Envelope)
    assert (request.type, request.version, request.compat, request.tid) == (42, 8, 3, 9)
    assert (bytes(request.front), len(request.data)) == (b"front", 70_000)
    assert (reply.type, reply.tid, bytes(reply.front)) == (43, 9, b"reply")
    client.tell(handshake.Keepalive(5))
    [ack], _ = exchange(client, server)
    assert ack == handshake.KeepaliveAck(5)


def test_a_lossy_session_ends_with_its_link() -> None:
    _, _, mine, _ = opened()
    mine.broken()
    assert mine.phase is Phase.CLOSED
    mine.send(Outgoing(1, b""))
    assert mine.queued == 0


def reconnected(mine: Session, theirs: Session) -> tuple[Link, Link]:
    client, server = pair()
    exchange(client, server)
    mine.begin(client, B, 2)
    _, [asked] = exchange(client, server)
    assert isinstance(asked, handshake.Reconnect)
    assert judge_reconnect(asked, theirs, (B,), reset_check=True) is Verdict.ADOPT
    theirs.take_reconnect(server, asked)
    return client, server


def taken(session: Session, events: Sequence[Event]) -> list[bytes]:
    return [bytes(e.front) for e in events if isinstance(e, Envelope) and session.accept(e)]


def test_a_lossless_session_loses_and_repeats_nothing() -> None:
    """Links break at random places, whatever was on the way is lost; each message comes once."""
    for seed in range(40):
        rng = random.Random(seed)
        client, server, mine, theirs = opened(LOSSLESS_PEER, LOSSLESS_PEER)
        wanted: list[list[bytes]] = [[], []]
        got: list[list[bytes]] = [[], []]
        number = 0
        for _ in range(60):
            for index, session in enumerate((mine, theirs)):
                for _ in range(rng.randrange(4)):
                    number += 1
                    wanted[index].append(b"%d" % number)
                    session.send(Outgoing(1, b"%d" % number))
            for events, session, index in (
                (server.feed(output(client)), theirs, 0),
                (client.feed(output(server)), mine, 1),
            ):
                got[index] += taken(session, events)
                for event in events:
                    if isinstance(event, handshake.Ack):
                        session.hear(event, B)
            if rng.random() < 0.2:
                mine.broken()
                theirs.broken()
                client, server = reconnected(mine, theirs)
                events, heard = exchange(client, server)
                assert mine.hear(events[0], B) is Outcome.RESUMED  # type: ignore[arg-type]
                got[0] += taken(theirs, heard)
                got[1] += taken(mine, events)
        heard_by_client, heard_by_server = exchange(client, server)
        got[0] += taken(theirs, heard_by_server)
        got[1] += taken(mine, heard_by_client)
        assert got == wanted, f"seed {seed}"


def test_acks_bound_what_is_kept() -> None:
    client, server, mine, theirs = opened(LOSSLESS_PEER, LOSSLESS_PEER)
    for _ in range(100):
        mine.send(Outgoing(1, b"x"))
    _, events = exchange(client, server)
    assert len(taken(theirs, events)) == 100
    theirs.acknowledge()
    for event in exchange(client, server)[0]:
        mine.hear(event, B)  # type: ignore[arg-type]
    assert mine.queued == 0


def test_a_forgotten_session_begins_anew() -> None:
    _, _, mine, theirs = opened(LOSSLESS_PEER, LOSSLESS_PEER)
    mine.broken()
    mine.send(Outgoing(1, b"lost with the session"))
    client, server = pair()
    exchange(client, server)
    mine.begin(client, B, 2)
    _, [asked] = exchange(client, server)
    assert isinstance(asked, handshake.Reconnect)
    verdict = judge_reconnect(asked, None, (B,), reset_check=True)
    assert verdict == handshake.Reset(True)
    server.tell(verdict)
    [reset], _ = exchange(client, server)
    assert mine.hear(reset, B) is Outcome.PEER_RESET  # type: ignore[arg-type]
    assert mine.queued == 0
    _, [ident] = exchange(client, server)
    assert isinstance(ident, handshake.ClientIdent)
    assert judge_ident(ident, theirs, (B,)) is Verdict.ADOPT


def test_of_two_links_at_once_one_stays() -> None:
    assert order_of((A,)) < order_of((B,))
    waiting = Session(LOSSLESS_PEER, (A,), 0, 11)
    ident = handshake.ClientIdent((B,), A, 1, 1, 0, 0, 0, 99)
    assert judge_ident(ident, waiting, (A,)) is Verdict.WAIT
    waiting.mine = (B,)
    ident = handshake.ClientIdent((A,), B, 1, 1, 0, 0, 0, 99)
    assert judge_ident(ident, waiting, (B,)) is Verdict.ADOPT


def test_an_old_link_is_told_how_far_behind_it_is() -> None:
    _, _, mine, theirs = opened(LOSSLESS_PEER, LOSSLESS_PEER)
    theirs.peer_global_seq = 7
    asked = handshake.Reconnect((A,), 11, 22, 3, 1, 0)
    assert judge_reconnect(asked, theirs, (B,), reset_check=True) == handshake.RetryGlobal(7)
    theirs.connect_seq = 5
    asked = handshake.Reconnect((A,), 11, 22, 8, 1, 0)
    assert judge_reconnect(asked, theirs, (B,), reset_check=True) == handshake.Retry(5)
    asked = handshake.Reconnect((A,), 12, 22, 8, 1, 0)
    assert judge_reconnect(asked, theirs, (B,), reset_check=False) == handshake.Reset(False)
    assert mine.phase is Phase.OPEN


@pytest.mark.parametrize("tag", list(frames.Tag))
def test_a_frame_out_of_place_ends_the_link(tag: frames.Tag) -> None:
    _, server = pair()
    server.feed(handshake.BANNER)
    if tag is frames.Tag.HELLO:
        return
    with pytest.raises(Malformed, match="state HELLO"):
        server.feed(bytes(frames.encode(tag, (bytes(64),))[0]))


@pytest.mark.parametrize(
    "banner",
    [b"HTTP/1.1 200 OK, and no more\r\n", b"ceph v027", b"ceph v2\n\x10\x00" + b"\xff" * 16],
)
def test_who_speaks_something_else_is_refused(banner: bytes) -> None:
    _, server = pair()
    with pytest.raises(Malformed):
        server.feed(banner.ljust(handshake.BANNER_BYTES, b"\0"))


def said_by_a_client() -> bytes:
    """All that a good client says, to its first message."""
    client, server = pair()
    said = bytearray()

    def turn() -> None:
        while client.has_output or server.has_output:
            data = output(client)
            said.extend(data)
            server.feed(data)
            client.feed(output(server))

    turn()
    session = Session(LOSSY_CLIENT, (A,), 0, 0)
    session.begin(client, B, 1)
    session.link, session.phase = client, Phase.OPEN
    session.send(Outgoing(42, b"front", data=b"data"))
    said += output(client)
    return bytes(said)


def test_whatever_comes_a_link_refuses_or_goes_on() -> None:
    """A whole good conversation, with bytes changed, cut out and put in at random."""
    good = said_by_a_client()
    refused = 0
    for seed in range(1500):
        rng = random.Random(seed)
        data = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(data))
            match rng.randrange(3):
                case 0:
                    data[at] = rng.randrange(256)
                case 1:
                    del data[at : at + rng.randrange(1, 20)]
                case 2:
                    data[at:at] = rng.randbytes(rng.randrange(1, 20))
        _, victim = pair()
        try:
            victim.feed(bytes(data))
        except Malformed:
            refused += 1
    assert refused > 1000
