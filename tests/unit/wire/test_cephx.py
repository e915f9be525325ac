# SPDX-License-Identifier: Apache-2.0
"""cephx: both sides against one another, and everything a liar may try."""

import random
from collections.abc import Callable

import msgspec
import pytest

from octostack.base.errors import Invalid, Unauthorized
from octostack.wire.ceph import handshake
from octostack.wire.ceph.addresses import EntityType
from octostack.wire.ceph.cephx import boxes, caps, client, keyring, server, tickets
from octostack.wire.ceph.cephx.boxes import Key
from octostack.wire.ceph.cephx.keyring import Entry
from octostack.wire.ceph.cephx.tickets import RotatingKey
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.link import Granted, More, Refused

ADMIN = Entry(Key(b"k" * 16), {"mon": "allow *", "osd": "allow rwx"})
HOUR_NS = 3600 * 10**9


class Cluster:
    """The keys of a cluster, and its time."""

    def __init__(self) -> None:
        self.now = 10**18
        self.rng = random.Random(3)
        self.senses = server.Senses(lambda: self.now, self.rng.randbytes)
        self.entries = {"client.admin": ADMIN}
        self.keys = {
            (service, number): RotatingKey(number, self.senses.key(), self.now + HOUR_NS)
            for service in (*server.SERVICES, EntityType.AUTH)
            for number in (1, 2, 3)
        }
        self.last_id = 4100

    def find_entry(self, entity: str) -> Entry | None:
        return self.entries.get(entity)

    def get_current(self, service: int) -> RotatingKey:
        return self.keys[service, 2]

    def find_service_key(self, service: int, secret_id: int) -> Key | None:
        found = self.keys.get((service, secret_id))
        return found.key if found else None

    def new_id(self) -> int:
        self.last_id += 1
        return self.last_id

    def mon(self) -> server.MonServer:
        return server.MonServer(self, self.senses, self.new_id)

    def wallet(self, key: Key = ADMIN.key, entity: str = "client.admin") -> client.Wallet:
        return client.Wallet(entity, key, self.senses, EntityType.OSD | EntityType.MGR)


Verdict = Refused | More | Granted


def ask_mon(cluster: Cluster, wallet: client.Wallet) -> Verdict:
    """A whole conversation with a monitor; what the client got is in the wallet."""
    there, here = cluster.mon(), client.MonClient(wallet)
    first = there.request(EntityType.CLIENT, here.begin(EntityType.MON))
    assert isinstance(first, More)
    verdict = there.more(here.more(first.payload))
    if isinstance(verdict, Granted):
        mine = here.done(handshake.AuthDone(verdict.global_id, verdict.mode, verdict.payload))
        assert mine.session_key == verdict.session_key
        assert mine.connection_secret == verdict.connection_secret
    return verdict


def ask_osd(
    cluster: Cluster, wallet: client.Wallet, change: Callable[[bytes], bytes] = lambda b: b
) -> Verdict:
    there, here = server.ServiceServer(cluster, cluster.senses), client.ServiceClient(wallet, 4)
    first = there.request(EntityType.CLIENT, here.begin(EntityType.OSD))
    if not isinstance(first, More):
        return first
    verdict = there.more(change(here.more(first.payload)))
    if isinstance(verdict, Granted):
        mine = here.done(handshake.AuthDone(verdict.global_id, verdict.mode, verdict.payload))
        assert mine.session_key == verdict.session_key
    return verdict


def test_a_key_gives_tickets_and_a_ticket_lets_in() -> None:
    cluster = Cluster()
    wallet = cluster.wallet()
    granted = ask_mon(cluster, wallet)
    assert isinstance(granted, Granted)
    assert granted.mode == handshake.MODE_SECURE
    assert len(granted.connection_secret) == 64
    assert granted.grant is not None
    assert (granted.grant.entity, granted.grant.caps) == ("client.admin", "allow *")
    assert set(wallet.tickets) == {EntityType.AUTH, EntityType.OSD}, "no caps, no ticket"
    let_in = ask_osd(cluster, wallet)
    assert isinstance(let_in, Granted)
    assert let_in.grant is not None
    assert (let_in.global_id, let_in.grant.caps) == (4101, "allow rwx")
    assert let_in.mode == handshake.MODE_CRC


def test_a_global_id_is_kept_only_by_its_ticket() -> None:
    cluster = Cluster()
    wallet = cluster.wallet()
    ask_mon(cluster, wallet)
    again = ask_mon(cluster, wallet)
    assert isinstance(again, Granted)
    assert again.global_id == 4101
    thief = cluster.wallet()
    thief.global_id = 4101
    assert ask_mon(cluster, thief) == server.DENIED
    other = client.MonClient(thief).refused(handshake.AuthBadMethod(2, -13, (2,), (2, 1)))
    assert other.method == handshake.METHOD_CEPHX
    assert thief.global_id == 0


@pytest.mark.parametrize(
    ("key", "entity"), [(Key(b"x" * 16), "client.admin"), (ADMIN.key, "client.nobody")]
)
def test_a_wrong_key_and_an_unknown_name_are_refused_alike(key: Key, entity: str) -> None:
    cluster = Cluster()
    assert ask_mon(cluster, cluster.wallet(key, entity)) == server.DENIED


def test_a_proof_is_good_for_one_challenge() -> None:
    cluster = Cluster()
    here, there, other = client.MonClient(cluster.wallet()), cluster.mon(), cluster.mon()
    asked = here.begin(EntityType.MON)
    first, second = there.request(8, asked), other.request(8, asked)
    assert isinstance(first, More)
    assert isinstance(second, More)
    said = here.more(first.payload)
    assert other.more(said) == server.DENIED
    assert isinstance(there.more(said), Granted)
    assert there.more(said) == server.DENIED


def test_an_authorizer_cannot_be_shown_again() -> None:
    cluster = Cluster()
    wallet = cluster.wallet()
    ask_mon(cluster, wallet)
    heard: list[bytes] = []

    def listen(data: bytes) -> bytes:
        heard.append(data)
        return data

    assert isinstance(ask_osd(cluster, wallet, listen), Granted)
    assert ask_osd(cluster, wallet, lambda _: heard[0]) == server.DENIED


def test_old_tickets_and_forgotten_keys_are_refused() -> None:
    cluster = Cluster()
    wallet = cluster.wallet()
    ask_mon(cluster, wallet)
    cluster.now += HOUR_NS + 1
    assert ask_osd(cluster, wallet) == server.DENIED
    assert wallet.due() & EntityType.OSD
    ask_mon(cluster, wallet)
    del cluster.keys[EntityType.OSD, 2]
    assert ask_osd(cluster, wallet) == server.DENIED
    empty = cluster.wallet()
    with pytest.raises(Unauthorized):
        ask_osd(cluster, empty)


def test_tickets_are_renewed_over_an_open_session() -> None:
    cluster = Cluster()
    cluster.entries["osd.0"] = Entry(Key(b"o" * 16), {"osd": "allow *", "mon": "profile osd"})
    wallet = cluster.wallet()
    ask_mon(cluster, wallet)
    wallet.tickets.pop(EntityType.OSD)
    asked = wallet.ask_renewal(EntityType.OSD)
    answer = server.answer_renewal(cluster, cluster.senses, "client.admin", asked)
    assert answer is not None
    assert wallet.take_renewal(answer) is None
    assert isinstance(ask_osd(cluster, wallet), Granted)
    assert server.answer_renewal(cluster, cluster.senses, "osd.0", asked) is None
    rotating = client.ask_rotating()
    assert server.answer_renewal(cluster, cluster.senses, "client.admin", rotating) is None
    keys = server.answer_renewal(cluster, cluster.senses, "osd.0", rotating)
    assert keys is not None
    osd = cluster.wallet(Key(b"o" * 16), "osd.0")
    found = osd.take_renewal(keys)
    assert found is not None
    assert {k.id: k.key for k in found} == {n: cluster.keys[4, n].key for n in (1, 2, 3)}


def test_who_has_another_method_is_told_ours() -> None:
    cluster = Cluster()
    asked = handshake.AuthRequest(handshake.METHOD_NONE, (1,), b"")
    for side in (cluster.mon(), server.ServiceServer(cluster, cluster.senses)):
        verdict = side.request(8, asked)
        assert isinstance(verdict, Refused)
        assert (verdict.result, verdict.methods) == (-95, (handshake.METHOD_CEPHX,))


def test_garbage_is_refused_or_malformed_and_nothing_worse() -> None:
    cluster = Cluster()
    wallet = cluster.wallet()
    ask_mon(cluster, wallet)
    good = wallet.authorizer(EntityType.OSD, 5, 7)
    rng = random.Random(1)
    for _ in range(500):
        data = bytearray(good)
        data[rng.randrange(len(data))] = rng.randrange(256)
        osd = server.ServiceServer(cluster, cluster.senses)
        try:
            asked = handshake.AuthRequest(2, (1,), bytes(data[: rng.randrange(len(data) + 1)]))
            assert not isinstance(osd.request(8, asked), Granted)
        except Malformed:
            pass


def test_boxes_open_only_by_their_key() -> None:
    box = boxes.seal(ADMIN.key, lambda w: w.u64(7))
    assert boxes.unseal(ADMIN.key, box, lambda r: r.u64()) == 7
    with pytest.raises(Malformed):
        boxes.unseal(Key(b"x" * 16), box, lambda r: r.u64())
    with pytest.raises(Malformed):
        boxes.unseal(ADMIN.key, box[:-1], lambda r: r.u64())
    assert "k" * 16 not in repr(ADMIN)


def test_a_ticket_comes_back() -> None:
    ticket = tickets.Ticket("client.a b", 5, 1, 2, "allow r", Key(b"s" * 16, 3))
    assert tickets.open_ticket(ADMIN.key, tickets.seal_ticket(ADMIN.key, ticket)) == ticket


# Keyrings

KEYRING = """[client.admin]
\tkey = AQBSoyFp7k4jIRAAtXHyN6zDJ0Lx0cGmS9aZ8A==
\tcaps mon = "allow *"
\tcaps osd = "allow rwx pool=\\"a b\\""
[osd.0]
\tkey = AQBSoyFp7k4jIRAAtXHyN6zDJ0Lx0cGmS9aZ8A==
"""


def test_a_keyring_comes_back() -> None:
    found = keyring.parse(KEYRING)
    assert found["client.admin"].caps == {"mon": "allow *", "osd": 'allow rwx pool="a b"'}
    assert keyring.format(found) == KEYRING
    bare = "# a comment\n[mon.]\n key=AQBSoyFp7k4jIRAAtXHyN6zDJ0Lx0cGmS9aZ8A==\n caps_mon = allow *"
    assert keyring.parse(bare)["mon."].caps == {"mon": "allow *"}


@pytest.mark.parametrize("text", ["key = x", "[a]\nkey = AAAA", "[a]\nnonsense", "[a]\nkey = !"])
def test_what_is_no_keyring(text: str) -> None:
    with pytest.raises(Invalid):
        keyring.parse(text)


# Capabilities

DATA = caps.Target("data", "ns1", "rbd_header.1", {"rbd": {}, "cephfs": {"data": "home"}})


@pytest.mark.parametrize(
    ("text", "need", "allowed"),
    [
        ("allow *", caps.R | caps.W | caps.X, True),
        ("allow r", caps.R, True),
        ("allow r", caps.W, False),
        ("allow rw", caps.R | caps.W, True),
        ("allow r, allow w", caps.R | caps.W, True),
        ("allow rwx pool=data", caps.W, True),
        ("allow pool data rwx", caps.W, True),
        ("allow rwx pool=other", caps.R, False),
        ("allow rw namespace=ns1", caps.W, True),
        ("allow rw namespace=ns*", caps.W, True),
        ("allow rw pool=data namespace=ns2", caps.W, False),
        ("allow rw namespace=''", caps.W, False),
        ("allow r object_prefix rbd_", caps.R, True),
        ("allow r object_prefix other", caps.R, False),
        ("allow rw tag rbd", caps.W, True),
        ("allow rw tag cephfs data=home", caps.W, True),
        ("allow rw tag cephfs data=*", caps.W, True),
        ("allow rw tag cephfs data=other", caps.W, False),
        ("allow rw tag rgw *=*", caps.W, False),
        ("allow rwx network 10.0.0.0/8", caps.R, True),
        ("allow rwx network 192.168.0.0/16", caps.R, False),
        ("profile rbd", caps.R | caps.W, True),
        ("profile rbd pool=data namespace=ns1", caps.R | caps.W, True),
        ("profile rbd pool=other", caps.R, False),
        ("profile rbd-read-only", caps.W, False),
        ("allow", caps.R, False),
        ("nonsense", caps.R, False),
        ("", caps.R, False),
    ],
)
def test_capabilities_of_an_osd(text: str, need: int, allowed: bool) -> None:
    assert caps.osd_allows(caps.read(text), need, DATA, "10.1.2.3") == allowed


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("allow rwx", True),
        ("allow x", True),
        ("allow r class-read", True),
        ("allow rw", False),
        ("allow class lock", True),
        ("allow class lock get_info", True),
        ("allow class lock lock", False),
        ("allow class rbd", False),
    ],
)
def test_capabilities_for_object_classes(text: str, allowed: bool) -> None:
    calls = (("lock", "get_info", caps.CLASS_READ),)
    target = msgspec.structs.replace(DATA, classes=calls)
    assert caps.osd_allows(caps.read(text), 0, target) == allowed


OUT = caps.Question("osd", caps.R | caps.W, "osd out", {"ids": "3"})


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("allow *", True),
        ("allow rw", True),
        ("allow r", False),
        ("allow service osd rw", True),
        ("allow service mon rw", False),
        ('allow command "osd out"', True),
        ('allow command "osd out" with ids=3', True),
        ('allow command "osd out" with ids=4', False),
        ('allow command "osd out" with ids prefix 3', True),
        ('allow command "osd in"', False),
        ("profile osd", True),
        ("allow profile osd", True),
        ("profile rbd", False),
        ("profile simple-rados-client", False),
        ("profile unheard-of", False),
    ],
)
def test_capabilities_of_a_monitor(text: str, allowed: bool) -> None:
    assert caps.mon_allows(caps.read(text), OUT) == allowed


BALANCE = caps.Question("py", caps.R | caps.W, "balancer on", {}, "balancer")
GROUPS = caps.Question("pg", caps.R, "pg ls-by-pool", {"poolstr": "a"})


@pytest.mark.parametrize(
    ("text", "balances", "looks"),
    [
        ("allow *", True, True),
        ("allow r", False, True),
        ("allow service pg r", False, True),
        ("allow service py rw", True, False),
        ("allow module balancer rw", True, False),
        ("allow module=balancer with level=1 rw network 10.0.0.0/8", False, False),
        ("allow module balancer with level=1 mode prefix up rw", True, False),
        ("allow module progress rw", False, False),
        ('allow command "pg ls-by-pool" with poolstr=a', False, True),
        ('allow command "pg ls-by-pool" with poolstr=b', False, False),
        ("profile read-only", False, True),
        ("profile read-write", True, True),
        ("allow profile osd", False, False),
        ("profile rbd", False, False),
        ("profile rbd pool=a namespace=b", False, False),
        ("profile mon", False, False),
        ("allow module balancer with level rw", False, False),
    ],
)
def test_capabilities_of_a_manager(text: str, balances: bool, looks: bool) -> None:
    rules = caps.read(text)
    assert caps.mgr_allows(rules, BALANCE, "192.0.2.1") == balances
    assert caps.mgr_allows(rules, GROUPS, "192.0.2.1") == looks
