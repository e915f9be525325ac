# SPDX-License-Identifier: Apache-2.0
"""The map of managers (version 11): which one is active, and what runs in it."""

import msgspec

from octostack.wire.ceph.addresses import Addresses
from octostack.wire.ceph.codec import Malformed, Reader, Writer
from octostack.wire.ceph.maps import fields as f
from octostack.wire.ceph.maps.fields import Field


class ModuleOption(msgspec.Struct, frozen=True):
    """A setting of a module; `kind` is Ceph's number for the type of its values."""

    name: str
    kind: int = 4
    level: int = 1
    flags: int = 1
    default: str = ""
    least: str = ""
    most: str = ""
    allowed: frozenset[str] = frozenset()
    help: str = ""
    long_help: str = ""
    tags: frozenset[str] = frozenset()
    see_also: frozenset[str] = frozenset()


class Module(msgspec.Struct, frozen=True):
    """What a manager can do beside its own work."""

    name: str
    can_run: bool = True
    error: str = ""
    options: dict[str, ModuleOption] = msgspec.field(default_factory=dict)


class Standby(msgspec.Struct, frozen=True):
    """A manager that waits."""

    global_id: int
    name: str
    old_modules: frozenset[str] = frozenset()
    modules: tuple[Module, ...] = ()
    features: int = 0


class MgrMap(msgspec.Struct, frozen=True):
    """Times are nanoseconds. Without an active manager its id is 0."""

    epoch: int = 1
    addresses: Addresses = ()
    global_id: int = 0
    available: bool = False
    name: str = ""
    standbys: dict[int, Standby] = msgspec.field(default_factory=dict)
    modules: frozenset[str] = frozenset()
    services: dict[str, str] = msgspec.field(default_factory=dict)
    available_modules: tuple[Module, ...] = ()
    changed: int = 0
    always_on: dict[int, frozenset[str]] = msgspec.field(default_factory=dict)
    features: int = 0
    last_failure_epoch: int = 0
    clients: tuple[Addresses, ...] = ()


_NAMES = f.set_of(f.STRING)
_OPTION = f.struct(
    ModuleOption,
    (
        Field("name", f.STRING),
        Field("kind", f.U8),
        Field("level", f.U8),
        Field("flags", f.U32),
        Field("default", f.STRING),
        Field("least", f.STRING),
        Field("most", f.STRING),
        Field("allowed", _NAMES),
        Field("help", f.STRING),
        Field("long_help", f.STRING),
        Field("tags", _NAMES),
        Field("see_also", _NAMES),
    ),
    1,
    1,
)
_MODULE = f.struct(
    Module,
    (
        Field("name", f.STRING),
        Field("can_run", f.BOOL),
        Field("error", f.STRING),
        Field("options", f.mapping(f.STRING, _OPTION), 2),
    ),
    2,
    1,
)
_STANDBY = f.struct(
    Standby,
    (
        Field("global_id", f.U64),
        Field("name", f.STRING),
        Field("old_modules", _NAMES, 2),
        Field("modules", f.vector(_MODULE), 3),
        Field("features", f.U64, 4),
    ),
    4,
    1,
)
_FIELDS = (
    Field("epoch", f.U32),
    Field("addresses", f.ADDRESSES),
    Field("global_id", f.U64),
    Field("available", f.BOOL),
    Field("name", f.STRING),
    Field("standbys", f.mapping(f.U64, _STANDBY)),
    Field("modules", _NAMES),
    Field("services", f.mapping(f.STRING, f.STRING)),
    Field("available_modules", f.vector(_MODULE)),
    Field("changed", f.UTIME, 7),
    Field("always_on", f.mapping(f.U32, _NAMES), 8),
    Field("features", f.U64, 9),
    Field("last_failure_epoch", f.U32, 10),
    Field("clients", f.vector(f.ADDRESSES), 11),
)


def decode(data: bytes | memoryview) -> MgrMap:
    """A map from its blob. Raises Malformed."""
    r = Reader(data)
    with r.versioned(11) as version:
        if version < 6:
            raise Malformed(f"a manager map of version {version}, from before release 14")
        return MgrMap(**f.read_fields(r, version, _FIELDS))


def encode(mgrmap: MgrMap) -> bytes:
    """The blob of a map."""
    w = Writer()
    with w.versioned(11, 6):
        f.write_fields(w, 11, _FIELDS, mgrmap)
    return w.done()
