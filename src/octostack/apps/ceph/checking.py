# SPDX-License-Identifier: Apache-2.0
"""``octostack ceph fsck`` and ``repair``: the stores of OSDs that do not run."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from octostack.base.errors import Corrupt, NotFound
from octostack.engines.ceph.osd.objectstore.api import META, Flaw, Space
from octostack.engines.ceph.osd.objectstore.block.store import BlockStore
from octostack.runtime.device import FileDevice

_MIB = 1 << 20


class Finding(msgspec.Struct, frozen=True):
    """What was found in one store; no `space` where it cannot be opened."""

    place: Path
    flaws: list[Flaw]
    objects: int = 0
    space: Space | None = None

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong any more."""
        return all(flaw.mended for flaw in self.flaws)


def check(directory: Path, names: Sequence[str], *, repair: bool) -> Iterator[Finding]:
    """Look through the store in `directory`, or those of a cluster's OSDs (all, or `names`).

    As after a crash, what the journal holds is put in its place first. Raises NotFound, and
    Conflict when the OSD runs.
    """
    places = [directory]
    if not (directory / "block").exists():
        places = sorted(directory.glob("osd.*"), key=lambda place: (len(place.name), place.name))
        places = [place for place in places if not names or place.name in names]
        places = [place for place in places if (place / "block").exists()]
    if not places:
        raise NotFound(f"{directory} holds no store of an OSD.", code="ceph.no_store")
    for place in places:
        yield asyncio.run(_check(place, repair=repair))


async def _check(place: Path, *, repair: bool) -> Finding:
    store = BlockStore(FileDevice(place / "block"))
    try:
        await store.open()
    except Corrupt as error:
        store.device.close()
        return Finding(place, [Flaw("store", f"cannot be opened: {error.message}")])
    flaws = store.fsck(repair)
    held = [store.usage(where) for where in store.collections() if where != META]
    objects = sum(usage.objects for usage in held)
    space = store.space()
    await store.close()
    return Finding(place, flaws, objects, space)


def report(finding: Finding) -> Iterator[str]:
    """Lines for who asked."""
    count = len(finding.flaws)
    what = "nothing is wrong" if not count else "1 flaw" if count == 1 else f"{count} flaws"
    space = finding.space
    if space is not None:
        used, total = space.data / _MIB, space.total / _MIB
        what += f", {finding.objects} objects, {used:,.1f} of {total:,.0f} MiB used"
    yield f"{finding.place.name}: {what}"
    for flaw in finding.flaws:
        yield f"  {flaw.where} {flaw.what}{'; mended' if flaw.mended else ''}"
    if not finding.is_well:
        yield "  What is not mended can only come from another copy."
