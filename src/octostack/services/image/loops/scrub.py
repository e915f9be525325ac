# SPDX-License-Identifier: Apache-2.0
"""Setting right what a crash left: bytes without a row, rows whose bytes never came."""

from octostack.base import clock, log
from octostack.services.image.model import SAVING, UPLOADING, Image
from octostack.services.image.store import images, tasks
from octostack.services.image.store import vault as arrival
from octostack.services.image.store.vault import Vault

STALE_S = 3600.0

_log = log.get("image")


async def scrub(vault: Vault, stale_s: float = STALE_S) -> None:
    """Drop bytes that nobody holds and no row names; queue images whose writer is gone.

    `stale_s` spares what was touched lately: an agent may be sending it call by call. At a start
    it is 0, since nobody can have called yet.
    """
    unheld = await vault.blobs.list_unheld(stale_s)
    async with vault.db.read() as tx:
        unfinished = await images.list_unfinished(tx)
    for image in unfinished:
        if await _is_dead(vault, image, set(unheld), stale_s):
            _log.info("upload given up", image=image.id, status=image.status)
            await arrival.give_up(vault, image.id, image.incoming_key or "")
    async with vault.db.read() as tx:
        named = await images.list_keys(tx)
    for key in unheld:
        if key not in named:
            _log.info("leavings removed", key=key)
            await vault.blobs.delete(key)
    async with vault.db.write() as tx:
        await tasks.delete_expired(tx, clock.now())


async def _is_dead(vault: Vault, image: Image, unheld: set[str], stale_s: float) -> bool:
    """Did the writer of this image's bytes go away? An import is its task's to finish."""
    if image.status not in (SAVING, UPLOADING):
        return False
    if image.status == UPLOADING:
        async with vault.db.read() as tx:
            if await images.find_staged(tx, image.id) is not None:
                return False  # staged whole, waiting for its import
    if image.incoming_key is None or image.incoming_key in unheld:
        return True
    old = image.updated_at <= clock.now() - stale_s
    return old and not vault.blobs.is_held(image.incoming_key)
