# SPDX-License-Identifier: Apache-2.0
"""Rotation of a key repository, as two nodes see it."""

from pathlib import Path

import pytest

from octostack.base.errors import Corrupt, Unauthorized
from octostack.services.identity.core import fernet
from octostack.services.identity.store.keys import KeyRing


def _seal(ring: KeyRing) -> str:
    return fernet.seal(b"facts", ring.primary, now=0.0, iv=bytes(16))


def test_first_keys(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == ["0", "1"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (tmp_path / "keys").iterdir())
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert KeyRing(tmp_path / "keys").keys == ring.keys


def test_tokens_outlive_a_rotation_and_no_more_than_the_bound(tmp_path: Path) -> None:
    ring, other = KeyRing(tmp_path, active_max=3), KeyRing(tmp_path, active_max=3)
    before = _seal(ring)
    staged = ring.keys[-1]
    ring.rotate()
    assert ring.primary == staged
    after = _seal(ring)
    assert fernet.open_sealed(before, other.keys) == fernet.open_sealed(after, other.keys)
    ring.rotate()
    assert len(ring.keys) == 3
    fernet.open_sealed(after, other.keys)
    with pytest.raises(Unauthorized):
        fernet.open_sealed(before, other.keys)


def test_a_node_that_has_not_seen_the_rotation_reads_what_one_that_has_makes(
    tmp_path: Path,
) -> None:
    ring = KeyRing(tmp_path)
    stale = ring.keys
    ring.rotate()
    fernet.open_sealed(_seal(ring), stale)


def test_a_repository_made_by_keystone(tmp_path: Path) -> None:
    (tmp_path / "0").write_bytes(b"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=\n")
    (tmp_path / "7").write_bytes(b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n")
    ring = KeyRing(tmp_path)
    assert ring.primary == b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    ring.rotate()
    assert (tmp_path / "8").read_bytes() == b"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="


def test_a_damaged_key_is_named(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path)
    (tmp_path / "2").write_bytes(b"AAAA")
    with pytest.raises(Corrupt, match="2 does not hold"):
        _ = ring.keys
