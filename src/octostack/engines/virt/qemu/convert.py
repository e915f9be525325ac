# SPDX-License-Identifier: Apache-2.0
"""qemu-img, for what we do not do to disks ourselves. It reads hostile bytes: it is kept small."""

import asyncio
from pathlib import Path

from octostack.base.errors import Corrupt, Unavailable

TIMEOUT_S = 3600.0
_MEMORY_BYTES_MAX = 2 << 30
_NAMES = {"vhd": "vpc"}  # QEMU's word for it
_READ_AS_IS = ("qcow2", "raw", "iso", "ami", "aki", "ari", "gpt")


async def flatten(path: Path, disk_format: str, driver: str) -> None:
    """Turn the file into qcow2, in place, unless QEMU may read it as it is.

    A compressed or foreign layout is read once here rather than by every machine for ever.
    """
    if disk_format in _READ_AS_IS:
        return
    made = path.with_name(path.name + ".qcow2")
    try:
        await qemu_img(
            *("convert", "-f", _NAMES.get(disk_format, disk_format), "-O", driver),
            *(str(path), str(made)),
        )
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)


async def qemu_img(*args: str, user: int | None = None, cwd: Path | None = None) -> None:
    """Run qemu-img, as that user. Raises Corrupt with its words, Unavailable without it."""
    try:
        child = await asyncio.create_subprocess_exec(
            *("prlimit", "--core=0", f"--as={_MEMORY_BYTES_MAX}", "qemu-img"),
            *args,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            user=user,
            group=user,
            cwd=cwd,
            umask=0o077,
        )
    except FileNotFoundError as e:
        raise Unavailable("qemu-img is not installed", code="qemu.missing") from e
    try:
        async with asyncio.timeout(TIMEOUT_S):
            _, said = await child.communicate()
    except BaseException:
        if child.returncode is None:
            child.kill()
            await child.wait()
        raise
    if child.returncode != 0:
        raise Corrupt(f"qemu-img: {said.decode(errors='replace').strip()[-300:]}")
