# SPDX-License-Identifier: Apache-2.0
"""What can be seen of a machine on its host, and what can be done to it."""

from typing import Literal, TypeAlias

import msgspec

from octostack.contracts.compute_agent import ImageRef, Nic

# "ended": the guest has switched itself off and QEMU waits to be told to go;
# "panicked": the guest's kernel has given up.
Process = Literal["none", "running", "paused", "ended", "panicked"]

# Why there is no process: never started, ordered, the guest's own wish, unexplained, or because
# the whole host went down with it.
Down = Literal["new", "ordered", "guest", "crashed", "host"]


class NicSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A card in the running machine; `slot` is the root port it sits in."""

    port_id: str
    mac: str
    tap: str
    slot: int


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A machine as it is. `build` is that of the root disk on the host (None: there is none)."""

    process: Process = "none"
    down: Down = "new"
    build: int | None = None
    rescued: bool = False  # the process runs from the rescue disk
    saved: bool = False  # memory lies in a file, to go on from
    nics: tuple[NicSeen, ...] = ()
    started_at: float | None = None


class Fetch(msgspec.Struct, frozen=True):
    """Have the image in the host's cache."""

    image: ImageRef


class MakeDisks(msgspec.Struct, frozen=True):
    """Root, ephemeral, swap, config drive: whatever the spec has and the host lacks."""


class MakeRescueDisk(msgspec.Struct, frozen=True):
    """A fresh disk from the rescue image."""


class DropDisks(msgspec.Struct, frozen=True):
    """Delete the disks of an older build."""


class Start(msgspec.Struct, frozen=True):
    """A new process; with `paused` its processors do not run yet. Goes on from saved memory."""

    paused: bool = False
    saved: bool = False


class PowerOff(msgspec.Struct, frozen=True):
    """Press the power button; after `timeout_s` pull the plug."""

    timeout_s: float


class Quit(msgspec.Struct, frozen=True):
    """End the process at once."""


class Pause(msgspec.Struct, frozen=True):
    """Stop the processors."""


class Resume(msgspec.Struct, frozen=True):
    """Let the processors run."""


class Save(msgspec.Struct, frozen=True):
    """Write the memory to a file and end the process."""


class DropSaved(msgspec.Struct, frozen=True):
    """Delete saved memory."""


class PlugNic(msgspec.Struct, frozen=True):
    """Add a card to the running machine, in that slot."""

    nic: Nic
    slot: int


class UnplugNic(msgspec.Struct, frozen=True):
    """Take a card out of the running machine."""

    nic: NicSeen


Act: TypeAlias = (
    Fetch
    | MakeDisks
    | MakeRescueDisk
    | DropDisks
    | Start
    | PowerOff
    | Quit
    | Pause
    | Resume
    | Save
    | DropSaved
    | PlugNic
    | UnplugNic
)
