# SPDX-License-Identifier: Apache-2.0
"""Real guests in QEMU, by emulation, through the agent."""

import pytest

from octostack.contracts.compute_agent import ImageRef
from octostack.testing import virt

pytestmark = [pytest.mark.anyio, pytest.mark.machine]


async def test_boots_and_is_removed(host, image: ImageRef) -> None:
    machine_id = "6b0eb3a1-6d8a-4a1c-9d3e-27e9b5ef0b11"
    drive = virt.config_drive(machine_id, "#!/bin/sh\necho user data was here\n")
    state = await host.run(virt.spec(image, id=machine_id, config_drive=drive))
    assert (state.power, state.fault, state.generation) == ("running", None, 1)
    said = await host.console(machine_id, "login:")
    assert "guest: data source config-drive" in said
    assert f"guest: instance {machine_id}, 1 keys" in said
    assert "user data was here" in said
    assert "guest-one login:" in said
    await host.agent.remove_machine(machine_id)
    assert host.processes() == {}
    assert list(host.machines.iterdir()) == []
