# SPDX-License-Identifier: Apache-2.0
"""How QEMU is run on this host: which binary, with which accelerator, as whom."""

import os
import shutil

import msgspec

from octostack.base import clock
from octostack.base.errors import Unavailable
from octostack.engines.virt.core.cmdline import RUN
from octostack.engines.virt.hypervisor import HypervisorInfo
from octostack.engines.virt.qemu.layout import Layout

BINARY = "qemu-system-x86_64"

# User ids that no package and no person has: each machine gets one for itself, so that a guest
# that breaks out of one QEMU finds nothing of another's.
_USERS = range(71000, 79000)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """`drop_privileges` needs root, and is then the default."""

    binary: str
    accelerator: str  # kvm, tcg
    info: HypervisorInfo
    drop_privileges: bool

    def user_of(self, layout: Layout, machine_id: str) -> int | None:
        """The user id of a machine, by who owns its run directory; makes that if there is none.

        The directory above is ours alone: who breaks out of QEMU can put no link in our way.
        """
        run = layout.machine(machine_id) / RUN
        if not run.exists():
            run.parent.mkdir(mode=0o711, exist_ok=True)
            user = _free_user(layout) if self.drop_privileges else os.geteuid()
            made = run.with_name(".run.new")
            made.mkdir(mode=0o700, exist_ok=True)
            os.chown(made, user, user if self.drop_privileges else os.getegid())
            made.rename(run)
        return run.stat().st_uid if self.drop_privileges else None


def find_binary(name: str = BINARY) -> str:
    """The path of QEMU. Raises Unavailable."""
    found = shutil.which(name)
    if found is None:
        raise Unavailable(f"{name} is not installed", code="qemu.missing")
    return found


def _free_user(layout: Layout) -> int:
    used = {p.stat().st_uid for p in layout.machines.glob(f"*/{RUN}")}
    # By chance, as another cloud on this machine takes from the same range.
    return clock.rng().choice([user for user in _USERS if user not in used])
