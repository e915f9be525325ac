# SPDX-License-Identifier: Apache-2.0
"""The inside of tokens against the libraries Keystone makes its tokens with."""

import base64
import datetime
import uuid

import msgpack
import pytest
from cryptography import fernet as oracle
from hypothesis import given
from hypothesis import strategies as st

from octostack.base.errors import Unauthorized
from octostack.services.identity.core import fernet, payload
from octostack.services.identity.model import Payload, Scope

KEY = base64.urlsafe_b64encode(bytes(range(32)))
OTHER = base64.urlsafe_b64encode(bytes(range(32, 64)))
NOW = 1_790_000_000.0
USER = uuid.UUID(int=0xABCDEF).hex
PROJECT = uuid.UUID(int=0x123456).hex
AUDIT = "AAECAwQFBgcICQoLDA0ODw"

hex_ids = st.uuids().map(lambda u: u.hex)
ids = st.one_of(hex_ids, st.text(min_size=1, max_size=64, alphabet="abcxyz-0189"))
scopes = st.one_of(
    st.just(Scope()),
    st.builds(lambda id: Scope(project_id=id), ids),
    st.builds(lambda id: Scope(domain_id=id), st.one_of(hex_ids, st.just("default"))),
    st.just(Scope(system=True)),
)
payloads = st.builds(
    Payload,
    user_id=ids,
    methods=st.sets(st.sampled_from(payload.METHODS), min_size=1).map(
        lambda found: tuple(m for m in reversed(payload.METHODS) if m in found)
    ),
    expires_at=st.integers(0, 2**40).map(float),
    audit_ids=st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=2).map(
        lambda raw: tuple(payload.new_audit_id(one) for one in raw)
    ),
    issued_at=st.just(NOW),
    scope=scopes,
)


@given(payloads)
def test_comes_back_as_it_went_in(facts: Payload) -> None:
    assert payload.decode(payload.encode(facts), NOW) == facts


def test_of_an_application_credential() -> None:
    facts = Payload(
        user_id=USER,
        methods=("application_credential",),
        expires_at=NOW,
        audit_ids=(AUDIT,),
        issued_at=NOW,
        scope=Scope(project_id=PROJECT),
        application_credential_id=USER,
    )
    assert payload.decode(payload.encode(facts), NOW) == facts


# As keystone.token.token_formatters (2026.1) assembles them, with its libraries.
KEYSTONE = [
    (Scope(), (0, (True, bytes.fromhex(USER)), 2, NOW, [bytes(range(16))])),
    (
        Scope(domain_id="default"),
        (1, (True, bytes.fromhex(USER)), 2, "default", NOW, [bytes(range(16))]),
    ),
    (
        Scope(domain_id=PROJECT),
        (1, (True, bytes.fromhex(USER)), 2, bytes.fromhex(PROJECT), NOW, [bytes(range(16))]),
    ),
    (
        Scope(project_id=PROJECT),
        (2, (True, bytes.fromhex(USER)), 2, (True, bytes.fromhex(PROJECT)), NOW,
         [bytes(range(16))]),
    ),
    (
        Scope(system=True),
        (8, (True, bytes.fromhex(USER)), 2, "all", NOW, [bytes(range(16))]),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("scope", "packed"), KEYSTONE)
def test_layout_is_keystones(scope: Scope, packed: tuple[object, ...]) -> None:
    facts = Payload(
        user_id=USER,
        methods=("password",),
        expires_at=NOW,
        audit_ids=(AUDIT,),
        issued_at=NOW,
        scope=scope,
    )
    assert payload.encode(facts) == msgpack.packb(packed)
    assert payload.decode(msgpack.packb(packed), NOW) == facts


@pytest.mark.parametrize(
    "raw", [b"", b"\xc1", msgpack.packb([]), msgpack.packb([3, 1, 2]), msgpack.packb({"a": 1}),
            msgpack.packb([2, [True, b"short"], 2, [True, b"x"], 1.0, []])]
)  # fmt: skip
def test_other_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(Unauthorized):
        payload.decode(raw, NOW)


@given(st.binary(max_size=200), st.binary(min_size=16, max_size=16))
def test_sealed_opens_with_the_reference(data: bytes, iv: bytes) -> None:
    token = fernet.seal(data, KEY, now=NOW, iv=iv)
    padded = token + "=" * (-len(token) % 4)
    assert oracle.Fernet(KEY).decrypt_at_time(padded, 60, int(NOW)) == data
    assert fernet.open_sealed(token, [OTHER, KEY]) == (data, NOW)


@given(st.binary(max_size=200))
def test_opens_what_the_reference_sealed(data: bytes) -> None:
    token = oracle.Fernet(KEY).encrypt_at_time(data, int(NOW)).decode().rstrip("=")
    assert fernet.open_sealed(token, [KEY]) == (data, NOW)


def test_the_specs_own_vector() -> None:
    # github.com/fernet/spec generate.json
    key = b"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="
    token = (
        "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64"
        "jVmpU4IwqDA=="
    )
    now = datetime.datetime.fromisoformat("1985-10-26T01:20:00-07:00").timestamp()
    assert fernet.seal(b"hello", key, now=now, iv=bytes(range(16))) == token.rstrip("=")


@given(st.integers(0, 300), st.integers(1, 255))
def test_one_changed_byte_is_refused(at: int, flip: int) -> None:
    token = fernet.seal(b"x" * 40, KEY, now=NOW, iv=bytes(16))
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    raw[at % len(raw)] ^= flip
    forged = base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("=")
    with pytest.raises(Unauthorized):
        fernet.open_sealed(forged, [KEY])


@given(st.text(max_size=300))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(Unauthorized):
        fernet.open_sealed(text, [KEY])


def test_a_token_fits_where_keystones_do() -> None:
    facts = Payload(
        user_id=USER,
        methods=("token", "password"),
        expires_at=NOW,
        audit_ids=(AUDIT, AUDIT),
        scope=Scope(project_id=PROJECT),
    )
    assert len(fernet.seal(payload.encode(facts), KEY, now=NOW, iv=bytes(16))) <= 255
