# SPDX-License-Identifier: Apache-2.0
"""What images may ask for."""

import pytest

from octostack.base.errors import Unsupported
from octostack.engines.virt.core.hardware import Hardware, choose


@pytest.mark.parametrize(
    ("properties", "parts"),
    [
        ({}, Hardware()),
        ({"os_distro": "debian", "hw_qemu_guest_agent": "yes"}, Hardware()),
        ({"hw_vif_model": "e1000"}, Hardware(card="e1000")),
        ({"hw_disk_bus": "scsi"}, Hardware(disk_bus="scsi")),
        ({"hw_disk_bus": "ide"}, Hardware(disk_bus="sata")),
        ({"hw_firmware_type": "bios", "architecture": "x86_64"}, Hardware()),
    ],
)
def test_offered(properties: dict[str, str], parts: Hardware) -> None:
    assert choose(properties) == parts


@pytest.mark.parametrize(
    "properties",
    [
        {"hw_firmware_type": "uefi"},
        {"hw_vif_model": "ne2k_pci"},
        {"hw_disk_bus": "virtio,readonly=off"},
        {"architecture": "aarch64"},
    ],
)
def test_refused(properties: dict[str, str]) -> None:
    with pytest.raises(Unsupported) as refused:
        choose(properties)
    assert refused.value.details["field"] in properties
