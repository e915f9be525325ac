# SPDX-License-Identifier: Apache-2.0
"""Bytes on their way in: counted, hashed, and looked at for what they really are."""

import hashlib
from collections.abc import Callable

from octostack.base.errors import TooLarge
from octostack.services.image.model import Stored
from octostack.wire import diskformats

# Containers whose content is the disk itself; in others the disk is wrapped out of sight.
_OPEN_CONTAINERS = frozenset({"bare", "ami", "aki", "ari"})


class Intake:
    """Fed with the chunks of an image in order.

    A chunk is counted and then fed to each of `parts`. They share nothing, so each may run in a
    thread of its own: hashing is what bounds an upload, and hashlib lets other threads run.
    """

    def __init__(self, size_max: int) -> None:
        self._size_max = size_max
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha512 = hashlib.sha512()
        self._inspector = diskformats.Inspector()
        self.size = 0

    @property
    def parts(self) -> tuple[Callable[[bytes], None], ...]:
        """What is to be done with every chunk, in any order."""
        return self._sha512.update, self._look

    def count(self, chunk: bytes) -> None:
        """One more chunk is to come. Raises TooLarge."""
        self.size += len(chunk)
        if self.size > self._size_max:
            raise TooLarge(
                f"The incoming image is too large: more than {self._size_max} bytes",
                code="image.too_large",
            )

    def feed(self, chunk: bytes) -> None:
        """Count a chunk and do all that is to be done with it. Raises TooLarge."""
        self.count(chunk)
        for part in self.parts:
            part(chunk)

    def _look(self, chunk: bytes) -> None:
        self._md5.update(chunk)
        self._inspector.feed(chunk)

    def finish(self, disk_format: str | None, container_format: str | None) -> Stored:
        """What it was, and whether it is what it was declared to be."""
        facts = self._inspector.finish()
        looked_into = container_format in _OPEN_CONTAINERS and self.size > 0
        return Stored(
            size=self.size,
            virtual_size=facts.virtual_size_bytes if looked_into else self.size,
            checksum=self._md5.hexdigest(),
            hash_value=self._sha512.hexdigest(),
            refusal=diskformats.refusal(facts, disk_format or "raw") if looked_into else None,
        )
