# SPDX-License-Identifier: Apache-2.0
"""What every handler is given, how an image is found, and whom its rules let in."""

from collections.abc import Callable
from typing import Any

import msgspec

from octostack.base.errors import Forbidden, NotFound
from octostack.contracts.identity import Caller
from octostack.runtime.db import Tx
from octostack.runtime.http import Request
from octostack.services.image.core import access
from octostack.services.image.core.uris import Rules
from octostack.services.image.model import Image
from octostack.services.image.store import images, members
from octostack.services.image.store.vault import Vault


class App(Vault, frozen=True, kw_only=True):
    """The dependencies of Image's handlers; `wake_imports` hints that a task is waiting."""

    uris: Rules
    import_methods: tuple[str, ...]
    host: str
    wake_imports: Callable[[], None]


class Found(msgspec.Struct, frozen=True):
    """An image the caller may see, and what its rules are told."""

    image: Image
    target: dict[str, Any]


async def see(tx: Tx, caller: Caller, image_id: str) -> Found:
    """The image, if the caller may know of it. Raises NotFound."""
    image = await images.find(tx, image_id)
    if image is not None:
        shared = image.visibility == "shared"
        ids = {m.member_id for m in await members.list_of(tx, image.id)} if shared else set()
        if access.sees(caller, image, ids):
            return Found(image, access.target(caller, image, ids))
    raise NotFound(f"No image found with ID {image_id[:100]}", code="image.not_found")


async def find(tx: Tx, req: Request, rule: str) -> Image:
    """The image in the path, if `rule` lets the caller act on it.

    Raises NotFound where it is not to be known, Forbidden where it is.
    """
    found = await see(tx, req.caller, req.params["image_id"])
    authorize(req, rule, found)
    return found.image


def authorize(req: Request, rule: str, found: Found) -> None:
    """Raise Forbidden, or NotFound where the caller may not even look."""
    if req.allowed(rule, found.target):
        return
    if rule == "get_image" or not req.allowed("get_image", found.target):
        raise NotFound(f"No image found with ID {found.image.id[:100]}", code="image.not_found")
    raise Forbidden(
        f"{rule} is disallowed by policy: you are not authorized to complete {rule} action.",
        code="policy",
        rule=rule,
    )
