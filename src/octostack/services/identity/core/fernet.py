# SPDX-License-Identifier: Apache-2.0
"""Fernet (github.com/fernet/spec) with the time and the randomness given by the caller.

    0x80 | time of creation, 8 bytes | IV, 16 bytes | AES-128-CBC, PKCS7 | HMAC-SHA256, 32 bytes

Keys are 32 bytes (signing half, encrypting half) in URL-safe base64, as Keystone keeps them in its
key repository. A token is the bytes in URL-safe base64 without the padding at its end.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Sequence

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from octostack.base.errors import Unauthorized

_VERSION = 0x80
_HEAD = struct.Struct(">BQ16s")
_MAC_BYTES = 32
_TOKEN_CHARS_MAX = 4096


def seal(data: bytes, key: bytes, *, now: float, iv: bytes) -> str:
    """`data` under `key`; `iv` is 16 random bytes, used once."""
    sign, encrypt = _halves(key)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(encrypt), modes.CBC(iv)).encryptor()
    padded = padder.update(data) + padder.finalize()
    body = _HEAD.pack(_VERSION, int(now), iv) + encryptor.update(padded) + encryptor.finalize()
    mac = hmac.digest(sign, body, hashlib.sha256)
    return base64.urlsafe_b64encode(body + mac).decode().rstrip("=")


def open_sealed(token: str, keys: Sequence[bytes]) -> tuple[bytes, float]:
    """What is in `token`, and when it was sealed, by whichever key fits. Raises Unauthorized."""
    raw = _from_base64(token)
    body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    if len(body) < _HEAD.size + 16 or (len(body) - _HEAD.size) % 16 or body[0] != _VERSION:
        raise Unauthorized("Could not recognize Fernet token")
    for key in keys:
        sign, encrypt = _halves(key)
        if hmac.compare_digest(hmac.digest(sign, body, hashlib.sha256), mac):
            return _decrypt(body, encrypt)
    raise Unauthorized("Could not recognize Fernet token")


def _decrypt(body: bytes, encrypt: bytes) -> tuple[bytes, float]:
    _version, sealed_at, iv = _HEAD.unpack_from(body)
    decryptor = Cipher(algorithms.AES(encrypt), modes.CBC(iv)).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
    padded = decryptor.update(body[_HEAD.size :]) + decryptor.finalize()
    try:
        return unpadder.update(padded) + unpadder.finalize(), float(sealed_at)
    except ValueError as e:
        raise Unauthorized("Could not recognize Fernet token") from e


def _halves(key: bytes) -> tuple[bytes, bytes]:
    raw = base64.urlsafe_b64decode(key)
    assert len(raw) == 32, "a Fernet key is 32 bytes"
    return raw[:16], raw[16:]


def _from_base64(token: str) -> bytes:
    if len(token) > _TOKEN_CHARS_MAX or not token.isascii():
        raise Unauthorized("Could not recognize Fernet token")
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except binascii.Error as e:
        raise Unauthorized("Could not recognize Fernet token") from e
