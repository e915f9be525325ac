# SPDX-License-Identifier: Apache-2.0
"""An agent in a process of its own, to be killed: ``agent_process.py STATE_DIR GUEST_DIR``."""

import asyncio
import hashlib
import sys
from pathlib import Path

import msgspec

from octostack.agents.compute import service
from octostack.contracts.compute import Compute
from octostack.contracts.compute_agent import ComputeAgent, MachineSpec
from octostack.contracts.image import Images
from octostack.contracts.network_agent import NetworkAgent
from octostack.testing import virt


async def main(state_dir: Path, guest: Path) -> None:
    spec = msgspec.json.decode((state_dir / "spec.json").read_bytes(), type=MachineSpec)
    images = virt.FileImages(state_dir / "uploads", local=False)
    offered = {hashlib.sha512(p.read_bytes()).hexdigest(): p for p in guest.glob("guest*")}
    assert spec.boot is not None and spec.boot.ramdisk is not None
    for ref in (spec.image, spec.boot.kernel, spec.boot.ramdisk):
        images.offer(ref, offered[ref.sha512])
    async with virt.runtime(state_dir) as runtime:
        await runtime.bus.serve(Images, images)
        await runtime.bus.serve(Compute, virt.Listener())
        await runtime.bus.serve(NetworkAgent, virt.Taps(), instance="host1")
        part = await service.build(runtime, service.Config(host="host1", accelerator="tcg"))
        await part.serve(runtime.bus)
        await part.begin(runtime)
        print("up", flush=True)
        await runtime.bus.stub(ComputeAgent, instance="host1").ensure_machine(spec)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
