# SPDX-License-Identifier: Apache-2.0
"""Who sees an image, and what a policy rule is told of it."""

from collections.abc import Collection
from typing import Any

from octostack.contracts.identity import Caller
from octostack.services.image.model import Image


def sees(caller: Caller, image: Image, members: Collection[str]) -> bool:
    """May the caller know of the image at all? `members` are those of a shared image."""
    if caller.is_admin or image.visibility in ("public", "community"):
        return True
    if caller.project_id is None:
        return False
    return caller.project_id == image.owner or (
        image.visibility == "shared" and caller.project_id in members
    )


def target(caller: Caller, image: Image, members: Collection[str]) -> dict[str, Any]:
    """The image in the words of Glance's rules."""
    is_member = caller.project_id is not None and caller.project_id in members
    return {
        "project_id": image.owner,
        "owner": image.owner,
        "visibility": image.visibility,
        "member_id": caller.project_id if is_member else "",
        "protected": image.protected,
        "status": image.status,
        "image_id": image.id,
    }
