# SPDX-License-Identifier: Apache-2.0
"""Password hashes: argon2id is what we make, and all that Keystone ever made we can verify.

The forms are those of passlib (keystone/common/password_hashers): ``$argon2id$``, ``$2b$``,
``$bcrypt-sha256$``, ``$scrypt$`` and ``$pbkdf2-sha512$``. These functions take tens of
milliseconds on purpose: call them in a thread.
"""

import base64
import binascii
import hmac

import argon2
import bcrypt
import msgspec
from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

PASSWORD_BYTES_MAX = 4096
SALT_BYTES = 16
_BCRYPT_BYTES_MAX = 72  # what follows has never counted


class Cost(msgspec.Struct, frozen=True):
    """How much a guess shall cost: memory in KiB and passes over it."""

    memory_kib: int
    passes: int


# OWASP's password storage guide, 2026: 19 MiB and two passes.
FULL = Cost(19_456, 2)
# Words of 18 or more random bytes need no stretching, only a one-way form.
RANDOM_WORD = Cost(1_024, 1)


# The hash of no password: a login of nobody costs what a login of somebody costs.
NOBODY = (
    "$argon2id$v=19$m=19456,t=2,p=1$"
    "AAAAAAAAAAAAAAAAAAAAAA$+DMg0Hsxx2CZGOKL/waFFg82zXwGXdCIU5N1SN6XKPQ"
)


def make(password: str, salt: bytes, cost: Cost = FULL) -> str:
    """The argon2id hash of `password`; `salt` is `SALT_BYTES` random bytes."""
    raw = argon2.low_level.hash_secret(
        password.encode(errors="surrogatepass"),
        salt,
        time_cost=cost.passes,
        memory_cost=cost.memory_kib,
        parallelism=1,
        hash_len=32,
        type=argon2.Type.ID,
    )
    return raw.decode()


def verify(password: str, hashed: str) -> bool:
    """True if `hashed` was made of `password`; False also for a hash of no known form."""
    secret = password.encode(errors="surrogatepass")[:PASSWORD_BYTES_MAX]
    try:
        if hashed.startswith("$argon2"):
            return _verify_argon2(secret, hashed)
        if hashed.startswith("$bcrypt-sha256$"):
            return _verify_bcrypt_sha256(secret, hashed)
        if hashed.startswith("$2"):
            return bcrypt.checkpw(secret[:_BCRYPT_BYTES_MAX], hashed.encode())
        if hashed.startswith("$scrypt$"):
            return _verify_scrypt(secret, hashed)
        if hashed.startswith("$pbkdf2-sha512$"):
            return _verify_pbkdf2(secret, hashed)
    except (ValueError, KeyError, binascii.Error):
        return False
    return False


def _verify_argon2(secret: bytes, hashed: str) -> bool:
    kind = argon2.extract_parameters(hashed).type
    try:
        return argon2.low_level.verify_secret(hashed.encode(), secret, kind)
    except argon2.exceptions.VerificationError:
        return False


def _verify_bcrypt_sha256(secret: bytes, hashed: str) -> bool:
    _, _, options, salt, digest = hashed.split("$")
    settings = dict(option.split("=", 1) for option in options.split(","))
    inner = base64.b64encode(hmac.digest(salt.encode(), secret, "sha256"))
    form = f"${settings['t']}${int(settings['r']):02d}${salt}{digest}"
    return bcrypt.checkpw(inner, form.encode())


def _verify_scrypt(secret: bytes, hashed: str) -> bool:
    _, _, options, salt, digest = hashed.split("$")
    settings = dict(option.split("=", 1) for option in options.split(","))
    kdf = Scrypt(
        salt=_unbase64(salt),
        length=32,
        n=1 << int(settings["ln"]),
        r=int(settings["r"]),
        p=int(settings["p"]),
    )
    return _fits(kdf, secret, _unbase64(digest))


def _verify_pbkdf2(secret: bytes, hashed: str) -> bool:
    _, _, rounds, salt, digest = hashed.split("$")
    kdf = PBKDF2HMAC(hashes.SHA512(), 64, _unbase64(salt), int(rounds))
    return _fits(kdf, secret, _unbase64(digest))


def _fits(kdf: Scrypt | PBKDF2HMAC, secret: bytes, digest: bytes) -> bool:
    try:
        kdf.verify(secret, digest)
    except InvalidKey:
        return False
    return True


def _unbase64(text: str) -> bytes:
    """passlib writes "." for "+" and no padding."""
    return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4))
