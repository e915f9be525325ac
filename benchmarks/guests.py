# SPDX-License-Identifier: Apache-2.0
"""A real guest's start: what our agent adds to bare QEMU with the same disk and processor.

Measured to the moment the processors run, which is where our part ends.
"""

import asyncio
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.measure import Report, Row, timed
from octostack.agents.compute import service
from octostack.contracts.compute import Compute
from octostack.contracts.compute_agent import ComputeAgent, ImageRef
from octostack.contracts.image import Images
from octostack.contracts.network_agent import NetworkAgent
from octostack.engines.virt.qemu import settings
from octostack.testing import virt

ROUNDS = 8
HOST = "bench"
ROOT = Path(__file__).parent.parent


async def run(report: Report) -> None:
    """Start machines one after another, ours and bare in turn."""
    if shutil.which(settings.BINARY) is None:
        print("guests: needs QEMU")
        return
    disk = Path(await asyncio.to_thread(_guest_disk))
    ours: list[float] = []
    bare: list[float] = []
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="octo-bench-")))
        runtime = await stack.enter_async_context(virt.runtime(directory))
        images = virt.FileImages(directory)
        image = images.add(disk, "qcow2")
        await runtime.bus.serve(Images, images)
        await runtime.bus.serve(Compute, virt.Listener())
        await runtime.bus.serve(NetworkAgent, virt.Taps(), instance=HOST)
        part = await service.build(runtime, service.Config(host=HOST, accelerator="tcg"))
        await part.serve(runtime.bus)
        await part.begin(runtime)
        agent = runtime.bus.stub(ComputeAgent, instance=HOST)
        await _ours(agent, image, [])  # the image comes into the cache
        for _ in range(ROUNDS):
            await _ours(agent, image, ours)
            with timed(bare):
                child = await asyncio.to_thread(_bare, disk, directory)
            child.kill()
            child.wait()
        assert part.stop is not None
        await part.stop()
    middle = sorted(bare)[len(bare) // 2]
    peer = f"bare QEMU {middle:.0f} ms"
    report.add(Row("real guest, order to processors running", "ms", ours, "+ < 500 ms", peer))


async def _ours(agent: ComputeAgent, image: ImageRef, samples: list[float]) -> None:
    spec = virt.spec(image)
    with timed(samples):
        state = await agent.ensure_machine(spec)
    assert state.power == "running", state
    await agent.remove_machine(spec.id)


def _bare(disk: Path, directory: Path) -> "subprocess.Popen[bytes]":
    """QEMU with the least that boots the disk, up to its monitor's greeting."""
    path = directory / "bare.sock"
    path.unlink(missing_ok=True)
    words = ["-accel", "tcg", "-machine", "q35", "-m", "192", "-nodefaults", "-display", "none"]
    words += ["-qmp", f"unix:{path},server=on,wait=off"]
    words += ["-drive", f"file={disk},if=virtio,snapshot=on"]
    child = subprocess.Popen([settings.BINARY, *words])
    with socket.socket(socket.AF_UNIX) as sock:
        while True:
            try:
                sock.connect(str(path))
                break
            except OSError:
                time.sleep(0.005)
        sock.recv(1)
    return child


def _guest_disk() -> str:
    subprocess.run([ROOT / "tools/guest-image"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return str(ROOT / ".cache/guest-image/guest.qcow2")
