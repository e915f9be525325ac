# SPDX-License-Identifier: Apache-2.0
"""The life of an image's data as a table; from openstack/glance, glance/domain/__init__.py."""

import msgspec

from octostack.base.errors import Conflict, Invalid
from octostack.services.image.model import (
    ACTIVE,
    DEACTIVATED,
    IMPORTING,
    QUEUED,
    SAVING,
    UPLOADING,
    Image,
    Stored,
)

NEXT = {
    QUEUED: (SAVING, UPLOADING, IMPORTING, ACTIVE),
    SAVING: (ACTIVE, QUEUED),
    UPLOADING: (IMPORTING, QUEUED),
    IMPORTING: (ACTIVE, QUEUED),
    ACTIVE: (DEACTIVATED,),
    DEACTIVATED: (ACTIVE,),
}
STATUSES = (*NEXT, "killed", "deleted", "pending_delete")

replace = msgspec.structs.replace


def moved(image: Image, status: str, now: float) -> Image:
    """The image in another status. Raises Conflict where there is no such way."""
    if status not in NEXT[image.status]:
        raise Conflict(
            f"Image status transition from {image.status} to {status} is not allowed",
            code="image.status",
        )
    if image.status == QUEUED:
        missing = [n for n in ("disk_format", "container_format") if not getattr(image, n)]
        if missing:
            noun = "Property" if len(missing) == 1 else "Properties"
            raise Invalid(
                f"{noun} {', '.join(missing)} must be set prior to saving data.",
                field=missing[0],
            )
    return replace(image, status=status, updated_at=now)


def receiving(image: Image, status: str, key: str, now: float) -> Image:
    """The image whose bytes arrive under `key`."""
    return replace(moved(image, status, now), incoming_key=key)


def emptied(image: Image, now: float) -> Image:
    """Back to the start, after an upload or import that came to nothing."""
    return replace(
        image, status=QUEUED, size=None, virtual_size=None, incoming_key=None, updated_at=now
    )


def filled(image: Image, stored: Stored, key: str, now: float) -> Image:
    """The image with its data."""
    return replace(
        moved(image, ACTIVE, now),
        size=stored.size,
        virtual_size=stored.virtual_size,
        checksum=stored.checksum,
        hash_value=stored.hash_value,
        data_key=key,
        incoming_key=None,
    )


def importing(image: Image, key: str, now: float) -> Image:
    """The image whose bytes are brought in by a task."""
    return replace(moved(image, IMPORTING, now), incoming_key=key)


# How far an import is, told in properties that users cannot set.
_IMPORTING = "os_glance_importing_to_stores"
_FAILED = "os_glance_failed_import"
_TASK = "os_glance_import_task"


def marks(*, importing: str = "", failed: str = "", task_id: str = "") -> dict[str, str]:
    """The properties that tell of an import."""
    told = {_IMPORTING: importing, _FAILED: failed}
    return told | ({_TASK: task_id} if task_id else {})


def marked(image: Image, told: dict[str, str]) -> Image:
    """The image with just these marks of an import."""
    ours = (_IMPORTING, _FAILED, _TASK)
    plain = {name: value for name, value in image.properties.items() if name not in ours}
    return replace(image, properties=plain | told)
