# SPDX-License-Identifier: Apache-2.0
"""Secrets of one installation: made once, kept in files that only the owner reads."""

import base64
import os
from pathlib import Path

from octostack.base import clock
from octostack.base.errors import Invalid


class Secrets:
    """Named secrets in a directory (mode 0700, files 0600)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def get(self, name: str, n_bytes: int = 32) -> bytes:
        """The secret `name`, made of `n_bytes` random bytes when it is asked for first."""
        path = self._path(name)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return self._make(path, clock.token_bytes(n_bytes))

    def text(self, name: str, n_bytes: int = 18) -> str:
        """The secret `name` as a password: URL-safe letters, made when it is asked for first."""
        path = self._path(name)
        try:
            return path.read_text()
        except FileNotFoundError:
            word = base64.urlsafe_b64encode(clock.token_bytes(n_bytes)).rstrip(b"=")
            return self._make(path, word).decode()

    def _path(self, name: str) -> Path:
        if not name or "/" in name or name.startswith("."):
            raise Invalid(f"Not a name for a secret: {name}")
        return self._directory / name

    def _make(self, path: Path, value: bytes) -> bytes:
        """Write once: of two processes that try, the first to link its file wins."""
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(value)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return path.read_bytes()
        finally:
            draft.unlink()
        return value
