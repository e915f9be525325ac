# SPDX-License-Identifier: Apache-2.0
"""Hashes that Keystone stored stay good."""

import base64
import hashlib

import bcrypt
import pytest

from octostack.services.identity.core import hashes


def test_what_we_make() -> None:
    hashed = hashes.make("wört", bytes(16))
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert hashes.verify("wört", hashed)
    assert not hashes.verify("wort", hashed)


def test_bcrypt_counts_72_bytes() -> None:
    hashed = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    assert hashes.verify("x" * 80, hashed)
    assert not hashes.verify("x" * 71, hashed)


def test_bcrypt_sha256_of_passlib() -> None:
    # passlib.hash.bcrypt_sha256, documentation of version 1.7.4
    hashed = "$bcrypt-sha256$v=2,t=2b,r=12$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2"
    assert hashes.verify("password", hashed)
    assert not hashes.verify("passwort", hashed)


def test_scrypt_of_passlib() -> None:
    # passlib.hash.scrypt, documentation of version 1.7.4
    hashed = (
        "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"
    )
    assert hashes.verify("password", hashed)
    assert not hashes.verify("Password", hashed)


def test_pbkdf2_in_passlibs_form() -> None:
    digest = hashlib.pbkdf2_hmac("sha512", b"password", b"\xfb" * 16, 1000)
    salt, checksum = (
        base64.b64encode(raw).decode().rstrip("=").replace("+", ".")
        for raw in (b"\xfb" * 16, digest)
    )
    hashed = f"$pbkdf2-sha512$1000${salt}${checksum}"
    assert "." in salt
    assert hashes.verify("password", hashed)
    assert not hashes.verify("", hashed)


@pytest.mark.parametrize(
    "hashed", ["", "plain", "$1$x$y", "$2b$12$short", "$scrypt$x", "$pbkdf2-sha512$a$b$c",
               "$argon2id$v=19$broken", "$bcrypt-sha256$v=2$a"]
)  # fmt: skip
def test_unknown_forms_are_no_password(hashed: str) -> None:
    assert not hashes.verify("password", hashed)
