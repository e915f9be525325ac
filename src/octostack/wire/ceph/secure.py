# SPDX-License-Identifier: Apache-2.0
"""AES-128-GCM of the messenger's secure mode: one key, a counting nonce for each direction."""

import struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from octostack.wire.ceph.codec import Malformed

TAG_BYTES: Final = 16
SECRET_BYTES: Final = 64  # what both sides share; 40 of them are used
_NONCE = struct.Struct("<IQ")
_KEY = slice(0, 16)
_TO_CLIENT = slice(16, 28)
_TO_SERVER = slice(28, 40)
_COUNTER_MASK = 0xFFFFFFFFFFFFFFFF


class Stream:
    """One direction: every block has a nonce of its own, counted up from the secret's."""

    __slots__ = ("_aead", "_counter", "_fixed")

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self._aead = AESGCM(key)
        self._fixed, self._counter = _NONCE.unpack(nonce)

    def seal(self, block: bytes | bytearray) -> bytes:
        """The block encrypted, and its tag."""
        return self._aead.encrypt(self._next(), block, None)

    def open(self, block: bytes | bytearray | memoryview) -> bytes:
        """What `seal` was given. Raises Malformed when a bit differs."""
        try:
            return self._aead.decrypt(self._next(), block, None)
        except InvalidTag as error:
            raise Malformed("an encrypted block does not verify") from error

    def _next(self) -> bytes:
        nonce = _NONCE.pack(self._fixed, self._counter)
        self._counter = (self._counter + 1) & _COUNTER_MASK
        return nonce


def streams(secret: bytes, *, client: bool) -> tuple[Stream, Stream]:
    """(what we send with, what we receive with). Raises Malformed for a short secret."""
    if len(secret) < _TO_SERVER.stop:
        raise Malformed(f"a connection secret of {len(secret)} bytes")
    to_client = Stream(secret[_KEY], secret[_TO_CLIENT])
    to_server = Stream(secret[_KEY], secret[_TO_SERVER])
    return (to_server, to_client) if client else (to_client, to_server)
