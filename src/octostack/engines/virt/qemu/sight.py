# SPDX-License-Identifier: Apache-2.0
"""Reading what a running QEMU, and a machine's directory, show of the machine."""

from pathlib import Path

from octostack.engines.virt.core import cmdline
from octostack.engines.virt.core.model import NicSeen, Process
from octostack.engines.virt.qemu.files import Record
from octostack.engines.virt.qemu.monitor import Monitor

# By query-status; what is not here stands still for a reason of QEMU's: paused.
STATES: dict[str, Process] = {
    "running": "running",
    "suspended": "running",  # the guest sleeps (S3): its own business
    "finish-migrate": "running",
    "shutdown": "ended",
    "guest-panicked": "panicked",
}


async def cards(monitor: Monitor, record: Record) -> tuple[NicSeen, ...]:
    """The cards that sit in the machine, by its own word; their taps, by what was written down.

    Asked of the object tree: PCI shows nothing behind a root port until the firmware has looked.
    """
    known = {nic.port_id: nic for nic in record.nics}
    cards = []
    for child in await monitor.call("qom-list", {"path": "/machine/peripheral"}):
        port_id = cmdline.port_of_card(child["name"])
        if port_id is None:
            continue
        card = known.get(port_id)
        if card is None:
            path = f"/machine/peripheral/{child['name']}"
            bus = await monitor.call("qom-get", {"path": path, "property": "parent_bus"})
            card = NicSeen(port_id=port_id, mac="", tap="", slot=int(bus.rsplit("-", 1)[-1]))
        cards.append(card)
    return tuple(sorted(cards, key=lambda card: card.slot))


def build_of(directory: Path) -> int | None:
    """The build that the root disk there is of; None without one."""
    for path in directory.glob("root-*.qcow2"):
        return int(path.stem.removeprefix("root-"))
    return None
