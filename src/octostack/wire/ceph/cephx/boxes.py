# SPDX-License-Identifier: Apache-2.0
"""Keys, and values sealed by them: AES-128 in CBC mode over a magic number and the value.

The one key type of release 16 is AES; another (such as aes256k of later releases) adds a `Cipher`.
"""

import base64
import binascii
import struct
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

import msgspec
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher as _Cipher
from cryptography.hazmat.primitives.ciphers import algorithms, modes

from octostack.base.errors import Invalid
from octostack.wire.ceph.codec import Malformed, Reader, Writer

T = TypeVar("T")

AES: Final = 1
_IV: Final = b"cephsageyudagreg"
_BLOCK_BITS: Final = 128
_MAGIC: Final = 0xFF009CAD8826AA55
_HEAD = struct.Struct("<BQ")
_U64 = struct.Struct("<Q")
SECRET_BYTES: Final = {AES: 16}


class Cipher(Protocol):
    """How one type of key encrypts."""

    def encrypt(self, secret: bytes, data: bytes) -> bytes:
        """Any number of bytes."""

    def decrypt(self, secret: bytes, data: bytes) -> bytes:
        """The reverse. Raises ValueError."""


class _Aes:
    def encrypt(self, secret: bytes, data: bytes) -> bytes:
        padder = padding.PKCS7(_BLOCK_BITS).padder()
        encryptor = _Cipher(algorithms.AES(secret), modes.CBC(_IV)).encryptor()
        return encryptor.update(padder.update(data) + padder.finalize()) + encryptor.finalize()

    def decrypt(self, secret: bytes, data: bytes) -> bytes:
        decryptor = _Cipher(algorithms.AES(secret), modes.CBC(_IV)).decryptor()
        unpadder = padding.PKCS7(_BLOCK_BITS).unpadder()
        plain = decryptor.update(data) + decryptor.finalize()
        return unpadder.update(plain) + unpadder.finalize()


_CIPHERS: dict[int, Cipher] = {AES: _Aes()}


class Key(msgspec.Struct, frozen=True):
    """A secret of some type; `created` in nanoseconds."""

    secret: bytes
    created: int = 0
    type: int = AES

    def __str__(self) -> str:
        """As keyrings have it."""
        w = Writer()
        write_key(w, self)
        return base64.b64encode(w.done()).decode()

    def __repr__(self) -> str:
        return "Key(...)"


def parse_key(text: str) -> Key:
    """The reverse of `str`. Raises Invalid."""
    try:
        return read_key(Reader(base64.b64decode(text.strip(), validate=True)))
    except (binascii.Error, Malformed) as error:
        raise Invalid("Not a key.", code="ceph.key") from error


def read_key(r: Reader) -> Key:
    """u16 type, utime, u16 length, secret. Raises Malformed."""
    kind, created, length = r.u16(), r.utime(), r.u16()
    if SECRET_BYTES.get(kind) != length:
        raise Malformed(f"a key of type {kind} with {length} bytes", r.position)
    return Key(r.take(length).tobytes(), created, kind)


def write_key(w: Writer, key: Key) -> None:
    """u16 type, utime, u16 length, secret."""
    w.u16(key.type)
    w.utime(key.created)
    w.u16(len(key.secret))
    w.raw(key.secret)


def seal(key: Key, write: Callable[[Writer], None]) -> bytes:
    """What `write` writes, for those who have the key."""
    w = Writer()
    w.pack(_HEAD, 1, _MAGIC)
    write(w)
    return _CIPHERS[key.type].encrypt(key.secret, w.done())


def unseal(key: Key, box: bytes | memoryview, read: Callable[[Reader], T]) -> T:
    """What is in the box. Raises Malformed for another key, or a box that was changed."""
    try:
        plain = _CIPHERS[key.type].decrypt(key.secret, bytes(box))
    except ValueError as error:
        raise Malformed("a box that our key does not open") from error
    r = Reader(plain)
    version, magic = r.unpack(_HEAD)
    if version != 1 or magic != _MAGIC:
        raise Malformed("a box that our key does not open")
    return read(r)


def proof(key: Key, server_challenge: int, client_challenge: int) -> int:
    """That one has the key, without showing it: both challenges sealed, folded to 64 bits."""

    def challenges(w: Writer) -> None:
        w.u64(server_challenge)
        w.u64(client_challenge)

    w = Writer()
    w.bytes(seal(key, challenges))
    data = w.done()
    found = 0
    for at in range(0, len(data) - 7, 8):
        found ^= _U64.unpack_from(data, at)[0]
    return found
