# SPDX-License-Identifier: Apache-2.0
"""A key repository as Keystone keeps it: a directory of files named by number.

0 is *staged*: every node may read tokens under it before any node makes one. The highest is the
*primary*, under which new tokens are made. The others are *secondary*: they only read. A rotation
makes the staged key primary, stages a new one, and drops the oldest above the bound. So a token
lives as long as its key: (active_max - 2) rotations at least.
"""

import base64
import os
from pathlib import Path

from octostack.base import clock
from octostack.base.errors import Corrupt

STAGED = 0


class KeyRing:
    """The keys in one directory; read again when the directory changes."""

    def __init__(self, directory: Path, *, active_max: int = 3) -> None:
        self._directory = directory
        self._active_max = max(active_max, 2)
        self._seen: tuple[int, ...] = ()
        self._keys: tuple[bytes, ...] = ()
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self._numbers():
            self._write(1, _new_key())
        if STAGED not in self._numbers():
            self._write(STAGED, _new_key())

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The primary first, then the secondaries newest first, the staged last."""
        stat = self._directory.stat()
        seen = (stat.st_mtime_ns, stat.st_ino)
        if seen != self._seen:
            numbers = sorted(self._numbers(), reverse=True)
            self._keys = tuple(self._read(number) for number in numbers)
            self._seen = seen
        return self._keys

    @property
    def primary(self) -> bytes:
        """What new tokens are made with."""
        return self.keys[0]

    def rotate(self) -> None:
        """The staged key becomes primary; a new one is staged; the oldest goes."""
        numbers = self._numbers()
        self._write(max(numbers) + 1, self._read(STAGED))
        self._write(STAGED, _new_key())
        active = sorted(number for number in self._numbers() if number != STAGED)
        for number in active[: max(0, len(active) - (self._active_max - 1))]:
            (self._directory / str(number)).unlink()

    def _numbers(self) -> list[int]:
        return [int(path.name) for path in self._directory.iterdir() if path.name.isdigit()]

    def _read(self, number: int) -> bytes:
        key = (self._directory / str(number)).read_bytes().strip()
        if len(base64.urlsafe_b64decode(key)) != 32:
            raise Corrupt(f"{self._directory / str(number)} does not hold a Fernet key.")
        return key

    def _write(self, number: int, key: bytes) -> None:
        """Whole or not at all: others read the directory at any moment."""
        draft = self._directory / f".{number}.{os.getpid()}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._directory / str(number))


def _new_key() -> bytes:
    return base64.urlsafe_b64encode(clock.token_bytes(32))
