# SPDX-License-Identifier: Apache-2.0
"""Where network cards go: each has a PCIe root port to itself, or it could not be plugged live."""

from collections.abc import Iterable, Iterator

from octostack.base.errors import OverQuota

# Root ports of every machine; q35 cannot grow more while it runs, and each costs time at boot.
SLOTS = 8


def free(used: Iterable[int]) -> Iterator[int]:
    """Slots that hold no card, lowest first. Raises OverQuota behind the last one."""
    taken = set(used)
    yield from (slot for slot in range(SLOTS) if slot not in taken)
    raise OverQuota(f"a machine takes {SLOTS} network cards at most", code="machine.nics")
