# SPDX-License-Identifier: Apache-2.0
"""What an image asks of the machine it runs in, by its ``hw_*`` properties (Glance's names).

What is asked for and not offered is refused: a guest that needs it would only fail later, and
without a word.
"""

from collections.abc import Mapping

import msgspec

from octostack.base.errors import Unsupported

_CARDS = {"virtio": "virtio-net-pci", "e1000e": "e1000e", "e1000": "e1000", "rtl8139": "rtl8139"}
_BUSES = ("virtio", "scsi", "sata", "ide")
_ONLY = {
    "hw_firmware_type": ("bios",),
    "hw_architecture": ("x86_64",),
    "architecture": ("x86_64",),
    "hw_cdrom_bus": _BUSES,
}


class Hardware(msgspec.Struct, frozen=True, kw_only=True):
    """The models a machine is built of."""

    card: str = "virtio-net-pci"
    disk_bus: str = "virtio"  # virtio, scsi, sata


def choose(properties: Mapping[str, str]) -> Hardware:
    """The hardware for an image. Raises Unsupported naming the property."""
    for name, offered in _ONLY.items():
        if properties.get(name, offered[0]) not in offered:
            raise Unsupported(
                f"{name}={properties[name]} is not offered", code="machine.hardware", field=name
            )
    card = properties.get("hw_vif_model", "virtio")
    if card not in _CARDS:
        raise Unsupported(
            f"hw_vif_model={card} is not offered", code="machine.hardware", field="hw_vif_model"
        )
    bus = properties.get("hw_disk_bus", "virtio")
    if bus not in _BUSES:
        raise Unsupported(
            f"hw_disk_bus={bus} is not offered", code="machine.hardware", field="hw_disk_bus"
        )
    # q35 has no IDE controller; its disks answer to the same drivers as SATA's in most guests.
    return Hardware(card=_CARDS[card], disk_bus="sata" if bus == "ide" else bus)
