# SPDX-License-Identifier: Apache-2.0
"""A line of the table of commands, and what its function is given."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from octostack.engines.ceph.mon.core.answers import Answer, formatted
from octostack.engines.ceph.mon.core.settings import TOLD, Config
from octostack.engines.ceph.mon.core.state import State, Statistics
from octostack.wire.ceph.addresses import Addresses
from octostack.wire.ceph.cephx.server import Senses


class Quorum(msgspec.Struct, frozen=True):
    """Which monitors agree, as of now."""

    members: tuple[str, ...]
    leader: str
    election_epoch: int
    since_s: float
    skews: dict[str, float] = {}  # seconds of others' clocks, as the leader sees them
    latencies: dict[str, float] = {}  # seconds until they answer, as the leader sees them
    rounds: int = 0  # how often the leader has asked them in this term


class Session(msgspec.Struct, frozen=True):
    """One connection: who, from where, and what it may."""

    kind: str
    entity: str
    global_id: int
    addresses: Addresses
    caps: str


class Connected(msgspec.Struct, frozen=True):
    """Who is connected to the monitor that is asked, and what it counted."""

    sessions: tuple[Session, ...] = ()
    counters: dict[str, dict[str, int]] = {}
    asking: str = "client.admin"


class Query(msgspec.Struct):
    """One command with all that it may look at."""

    arguments: dict[str, Any]
    state: State
    statistics: Statistics
    quorum: Quorum
    now_ns: int
    senses: Senses
    data: bytes = b""
    who: Connected = Connected()
    told: dict[str, str] = {}  # options that hold at this monitor alone, until it ends

    @property
    def config(self) -> Config:
        """What this monitor goes by: the central configuration, and what it was told directly."""
        return {**self.state.config, TOLD: self.told}

    @property
    def style(self) -> str:
        """The output's format; `plain` is for people."""
        return str(self.arguments.get("format", "plain"))

    def show(self, value: Any, text: str = "") -> Answer:
        """`value` in the format asked for, or `text` when that is plain."""
        return Answer(formatted(value, self.style, text))

    def text(self, name: str, default: str = "") -> str:
        """A parameter as text."""
        return str(self.arguments.get(name, default))


class Parameter(msgspec.Struct, frozen=True):
    """``name=pool,type=CephPoolname,req=false`` taken apart."""

    fields: dict[str, str]

    @property
    def name(self) -> str:
        return self.fields["name"]

    @property
    def required(self) -> bool:
        return self.fields.get("req") != "false"


class Command(msgspec.Struct, frozen=True):
    """One command. `signature_text` begins with its words; parameters follow."""

    signature_text: str
    help: str
    module: str
    permission: str
    act: Callable[[Query], Answer]
    by_manager: bool = False  # clients send it there
    at_leader: bool = False  # who alone knows, though nothing is changed
    plugin: str = ""  # the part of the manager that capabilities name

    @property
    def prefix(self) -> str:
        """The words alone."""
        return " ".join(w for w in self.signature_text.split() if not w.startswith("name="))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return tuple(p for p in self._parts() if isinstance(p, Parameter))

    @property
    def signature(self) -> list[str | dict[str, str]]:
        """As clients want it."""
        return [p.fields if isinstance(p, Parameter) else p for p in self._parts()]

    def _parts(self) -> list[str | Parameter]:
        found: list[str | Parameter] = []
        for word in self.signature_text.split():
            if word.startswith("name="):
                pairs = (pair.partition("=") for pair in word.split(","))
                found.append(Parameter({key: value for key, _, value in pairs}))
            else:
                found.append(word)
        return found


MANAGER_FLAG: Final = 1 << 3


def describe(table: Iterable[Command]) -> bytes:
    """What `get_command_descriptions` gives."""
    return formatted(
        {
            f"cmd{number:03}": {
                "sig": command.signature,
                "help": command.help,
                "module": command.module,
                "perm": command.permission,
                "flags": MANAGER_FLAG if command.by_manager else 0,
            }
            for number, command in enumerate(table)
        },
        "json",
    )
