# SPDX-License-Identifier: Apache-2.0
"""Whether KVM runs guests here. That /dev/kvm exists says nothing: a guest is tried.

The guest is one boot sector. It waits until the BIOS's timer has ticked twice, so that interrupts,
the clock and both modes of the processor were used, and then leaves by a debug port.
"""

import asyncio
import platform
import tempfile
from pathlib import Path

import msgspec

from octostack.base import log
from octostack.base.errors import Unavailable
from octostack.engines.virt.hypervisor import HypervisorInfo
from octostack.engines.virt.qemu import files

_log = log.get("virt")

PROBE_TIMEOUT_S = 8.0
_DEBUG_PORT = 0xF4
_GOOD = 0x31
_DISK_BYTES = 1 << 20  # the BIOS finds no geometry in much less

# sti; xor ax,ax; mov ds,ax; mov bx,[0x46c]; add bx,2; wait: hlt; cmp [0x46c],bx; jb wait;
# mov al,0x31; out 0xf4,al; hang: hlt; jmp hang
_SECTOR = (
    bytes.fromhex("fb31c08ed88b1e6c0483c302f4391e6c0472f9b031e6f4f4ebfd").ljust(510, b"\0")
    + b"\x55\xaa"
)


class Verdict(msgspec.Struct, frozen=True):
    """What was found, and for which host, kernel and QEMU it holds."""

    subject: str
    kvm: bool


async def choose(wanted: str, binary: str, cache: Path) -> str:
    """``kvm`` or ``tcg``; `wanted` may also be ``auto``, which probes once and remembers."""
    if wanted != "auto":
        return wanted
    if not Path("/dev/kvm").exists():
        return "tcg"
    subject = f"{files.host_epoch()} {platform.release()} {await version_text(binary)}"
    known = files.read_struct(cache, Verdict)
    if known is None or known.subject != subject:
        known = Verdict(subject, await probe(binary))
        files.write_whole(cache, msgspec.json.encode(known))
    return "kvm" if known.kvm else "tcg"


async def probe(binary: str, accelerator: str = "kvm") -> bool:
    """Try a guest."""
    with tempfile.TemporaryDirectory() as directory:
        disk = Path(directory) / "sector"
        disk.write_bytes(_SECTOR + bytes(_DISK_BYTES - len(_SECTOR)))
        child = await asyncio.create_subprocess_exec(
            binary,
            *("-accel", accelerator, "-cpu", "host" if accelerator == "kvm" else "max"),
            *("-machine", "q35", "-m", "32M"),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-device", f"isa-debug-exit,iobase={_DEBUG_PORT:#x},iosize=1"),
            *(
                "-drive",
                f"file={disk},format=raw,if=none,id=d",
                "-device",
                "virtio-blk-pci,drive=d",
            ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                code = await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()
            code = -1
    works = code == (_GOOD << 1 | 1)  # as isa-debug-exit reports a written byte
    _log.info("kvm probed", works=works, code=code)
    return works


async def version_text(binary: str) -> str:
    """QEMU's version as it says it, ``7.2.22``. Raises Unavailable."""
    child = await asyncio.create_subprocess_exec(
        binary, "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    said, _ = await child.communicate()
    words = said.decode(errors="replace").split()
    if "version" not in words:
        raise Unavailable(f"{binary} does not say its version", code="qemu.version")
    return words[words.index("version") + 1]


async def describe(binary: str, accelerator: str) -> HypervisorInfo:
    """What the hypervisor API and people are told."""
    text = await version_text(binary)
    numbers = [int(n) for n in text.split(".")[:3] if n.isdigit()] + [0, 0, 0]
    number = numbers[0] * 1_000_000 + numbers[1] * 1000 + numbers[2]
    kind = "KVM" if accelerator == "kvm" else "QEMU"
    speed = "KVM" if accelerator == "kvm" else "TCG (emulation)"
    return HypervisorInfo(kind=kind, version=number, simulated=False, text=f"QEMU {text}, {speed}")
