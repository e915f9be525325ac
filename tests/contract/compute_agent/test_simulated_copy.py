# SPDX-License-Identifier: Apache-2.0
"""A simulated machine's root disk: empty, of the right size, gone when it was sent."""

from pathlib import Path

import pytest

from octostack.contracts.compute_agent import ImageRef, MachineSpec
from octostack.engines.virt.simulated import SimulatedMachines
from octostack.wire.diskformats import inspect

pytestmark = pytest.mark.anyio


async def test_a_copy_is_an_empty_disk_of_the_flavors_size() -> None:
    image = ImageRef(id="i", sha512="0" * 128, size_bytes=1, disk_format="raw")
    spec = MachineSpec(
        id="m", name="m", generation=1, vcpus=1, memory_mb=64, image=image, root_gb=5
    )
    machines = SimulatedMachines()
    path = Path(await machines.copy_root(spec, "copy"))
    data = path.read_bytes()
    facts = inspect(lambda offset, size: data[offset : offset + size], len(data))
    assert (facts.format, facts.virtual_size_bytes, facts.flaw) == ("qcow2", 5 * 2**30, None)
    await machines.drop_copy("copy")
    assert not path.exists()
    await machines.drop_copy("copy")
