# SPDX-License-Identifier: Apache-2.0
"""The nouns of Image."""

from typing import Any

import msgspec

STORE = "files"  # the one store there is
QUEUED, SAVING, ACTIVE = "queued", "saving", "active"
UPLOADING, IMPORTING, DEACTIVATED = "uploading", "importing", "deactivated"

VISIBILITIES = ("community", "public", "private", "shared")
HASH_ALGORITHM = "sha512"


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image; `data_key` names its bytes, `incoming_key` those that are arriving or staged."""

    id: str
    name: str | None
    status: str
    owner: str | None
    visibility: str
    disk_format: str | None = None
    container_format: str | None = None
    min_disk: int = 0
    min_ram: int = 0
    size: int | None = None
    virtual_size: int | None = None
    checksum: str | None = None
    hash_value: str | None = None
    protected: bool = False
    hidden: bool = False
    created_at: float
    updated_at: float
    data_key: str | None = None
    incoming_key: str | None = None
    tags: tuple[str, ...] = ()
    properties: dict[str, str] = {}


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A project that an image is shared with; `status` is the project's own answer."""

    image_id: str
    member_id: str
    status: str
    created_at: float
    updated_at: float


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What was learned of bytes while they were taken in. `refusal` says why they may not be."""

    size: int
    virtual_size: int
    checksum: str
    hash_value: str
    refusal: str | None = None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Work on an image that goes on after its request was answered."""

    id: str
    image_id: str
    type: str
    status: str
    owner: str | None
    user_id: str
    request_id: str
    input: dict[str, Any]
    message: str = ""
    created_at: float
    updated_at: float
    expires_at: float | None = None


class Namespace(msgspec.Struct, frozen=True, kw_only=True):
    """A named set of metadata definitions."""

    namespace: str
    display_name: str | None = None
    description: str | None = None
    visibility: str = "private"
    protected: bool = False
    owner: str
    created_at: float
    updated_at: float


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """An object, property, tag or resource type in a namespace; `kind` is as in the path."""

    namespace: str
    kind: str
    name: str
    body: dict[str, Any]
    created_at: float
    updated_at: float
