# SPDX-License-Identifier: Apache-2.0
"""What Compute and its agents may ask of Image.

Methods that take a `caller` see what that caller may see; the others are for trusted parts.

Errors: NotFound (code "image.not_found") for what is missing or hidden from the caller,
Conflict ("image.not_active") for data that is not there yet, Corrupt for bytes that do not match,
OverQuota ("image.over_quota") for a snapshot beyond the project's limits.
"""

from abc import ABC, abstractmethod

import msgspec

from octostack.base.contract import since
from octostack.contracts.api import ApiCall
from octostack.contracts.identity import Caller

READ_BYTES_MAX = 4 << 20  # the longest answer of `read`


class ImageInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An image as its users see it. Sizes are in bytes, `min_disk` in GiB, `min_ram` in MiB.

    `properties` are the free-form ones (hw_*, os_*, img_*, ...), all text.
    """

    id: str
    name: str | None
    status: str
    owner: str | None
    visibility: str
    disk_format: str | None
    container_format: str | None
    size_bytes: int | None
    virtual_size_bytes: int | None
    min_disk: int
    min_ram: int
    protected: bool
    hidden: bool
    checksum: str | None
    sha512: str | None
    created_at: float
    updated_at: float
    tags: tuple[str, ...] = ()
    properties: dict[str, str] = {}


class ImageLocation(msgspec.Struct, frozen=True, kw_only=True):
    """Where the bytes of an active image are.

    `path` is a file on the host of the Image service (named by `host`); who runs elsewhere, or
    cannot read it, fetches by `Images.read`. The file is never changed, only unlinked: a hard
    link or an open descriptor stays good. Check what was fetched against `size_bytes`, `sha512`.
    """

    image_id: str
    disk_format: str
    size_bytes: int
    virtual_size_bytes: int
    sha512: str
    path: str | None = None
    host: str | None = None


class SnapshotSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A new image to be filled from a server's disk; `properties` are free-form ones."""

    name: str
    disk_format: str = "qcow2"
    container_format: str = "bare"
    min_disk: int = 0
    min_ram: int = 0
    properties: dict[str, str] = {}


class Images(ABC):
    """The image catalogue and the bytes of the images."""

    VERSION = (1, 1)

    @abstractmethod
    async def get(self, caller: Caller, image_id: str) -> ImageInfo:
        """The image, if the caller may see it. Raises NotFound."""

    @abstractmethod
    async def locate(self, image_id: str) -> ImageLocation:
        """Where the data is. Raises NotFound, Conflict while the image is not active."""

    @abstractmethod
    async def read(self, image_id: str, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`, at most READ_BYTES_MAX; empty at the end."""

    @abstractmethod
    async def create_snapshot(self, caller: Caller, spec: SnapshotSpec) -> str:
        """A new private image in status queued, owned by the caller's project; its id.

        Raises OverQuota, Invalid.
        """

    @abstractmethod
    async def import_file(self, image_id: str, path: str) -> ImageInfo:
        """Copy the whole file at `path` (on the Image service's host) in; the image is active.

        The format is inspected as for an upload. Again on an active image is no error.
        Raises Invalid (the file is not what it says), NotFound, Conflict.
        """

    @abstractmethod
    async def write(self, image_id: str, offset: int, data: bytes) -> int:
        """Append a chunk at `offset`, which must be the number of bytes so far; the new number.

        For agents on other hosts. A repeated chunk is no error. Raises Conflict, NotFound.
        """

    @abstractmethod
    async def commit(self, image_id: str, size_bytes: int, sha512: str) -> ImageInfo:
        """Make what was written the image's data; the image is active. Raises Corrupt, Invalid."""

    @abstractmethod
    async def discard(self, image_id: str) -> None:
        """Remove an image made by `create_snapshot`, with its data; none is no error."""

    @abstractmethod
    @since(1, 1)
    async def ask(self, caller: Caller, call: ApiCall) -> bytes:
        """The answer of Image's own API to this caller, as JSON; raises what the API refuses."""
