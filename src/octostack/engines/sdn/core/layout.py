# SPDX-License-Identifier: Apache-2.0
"""Bridges and ports: what the switch's database shall hold, and what leads there.

Only rows marked with our owner name are ever touched or removed; a port is a row in Interface, one
in Port, and a reference in its Bridge.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from octostack.engines.sdn.core.model import Span
from octostack.wire import ovsdb
from octostack.wire.ovsdb import Ref, Row

OWNER: Final = "octostack"  # key of external_ids
SPAN: Final = "octostack-numbers"  # another: which numbers (and so zones) are this owner's
COLUMNS: Final[dict[str, list[str]]] = {
    "Open_vSwitch": ["bridges", "ovs_version", "datapath_types", "next_cfg", "cur_cfg"],
    "Bridge": ["name", "ports", "datapath_type", "external_ids", "fail_mode", "other_config"],
    "Port": ["name", "interfaces", "external_ids"],
    "Interface": [
        "name", "type", "options", "ofport", "ofport_request", "error", "link_state", "mtu",
        "mtu_request",
    ],
}  # fmt: skip


class PortSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A port with its one interface. `number` asks for an OpenFlow port, 0: any."""

    name: str
    type: str = ""
    options: dict[str, str] = {}
    number: int = 0


class BridgeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A bridge. Not `controlled`: it learns and floods as a plain switch does."""

    name: str
    datapath: str
    mac: str
    controlled: bool
    ports: tuple[PortSpec, ...] = ()
    span: Span | None = None


Tables = dict[str, dict[str, Row]]


def plan(tables: Tables, wanted: tuple[BridgeSpec, ...], owner: str) -> list[dict[str, Any]]:
    """The operations, as one transaction, that make our bridges as wanted; [] when they are."""
    root, operations = _root(tables)
    held = {row["name"]: (uuid, row) for uuid, row in tables.get("Bridge", {}).items()}
    ours = {name for name, (_, row) in held.items() if _mark(row) == owner}
    for spec in wanted:
        if spec.name in held:
            operations += _bridge_changes(tables, *held[spec.name], spec, owner)
        else:
            operations += _new_bridge(spec, owner, root)
    gone = sorted(ours - {spec.name for spec in wanted})
    if gone:
        refs = [Ref(held[name][0]) for name in gone]
        which = ovsdb.where(_uuid=root)
        operations.append(ovsdb.mutate("Open_vSwitch", which, [("bridges", "delete", refs)]))
    return operations


def _root(tables: Tables) -> tuple[Ref, list[dict[str, Any]]]:
    """The one row of Open_vSwitch, and what makes it in a new database."""
    for uuid in tables.get("Open_vSwitch", {}):
        return Ref(uuid), []
    return Ref("root", new=True), [ovsdb.insert("Open_vSwitch", {}, "root")]


def _mark(row: Row) -> str:
    return str(row.get("external_ids", {}).get(OWNER, ""))


def _new_bridge(spec: BridgeSpec, owner: str, root: Ref) -> list[dict[str, Any]]:
    ports = [*spec.ports, PortSpec(name=spec.name, type="internal")]
    operations, refs = [], []
    for port in ports:
        made, ref = _new_port(port, owner)
        operations += made
        refs.append(ref)
    row: Row = {"name": spec.name, "ports": refs, **_bridge_row(spec, owner)}
    bridge = _id("bridge", spec.name)
    operations.append(ovsdb.insert("Bridge", row, bridge))
    change = ("bridges", "insert", [Ref(bridge, new=True)])
    operations.append(ovsdb.mutate("Open_vSwitch", ovsdb.where(_uuid=root), [change]))
    return operations


def _bridge_row(spec: BridgeSpec, owner: str) -> Row:
    return {
        "datapath_type": spec.datapath,
        "fail_mode": "secure" if spec.controlled else "standalone",
        "external_ids": {OWNER: owner, **_span_row(spec.span)},
        "other_config": {"hwaddr": spec.mac},
    }


def _span_row(span: Span | None) -> dict[str, str]:
    return {} if span is None else {SPAN: f"{span.first}-{span.last}"}


def spans(bridges: Iterable[Row]) -> dict[str, Span]:
    """Which numbers are whose, by rows of Bridge; what cannot be read is nobody's."""
    out = {}
    for row in bridges:
        said = row.get("external_ids", {})
        first, _, last = str(said.get(SPAN, "")).partition("-")
        if first.isdecimal() and last.isdecimal():
            out[str(said.get(OWNER, ""))] = Span(int(first), int(last))
    return out


def count_change(tables: Tables) -> list[dict[str, Any]]:
    """Operations that have ovs-vswitchd say when it has done all this; see `counted`."""
    root, _ = _root(tables)
    which = ovsdb.where(_uuid=root)
    return [
        ovsdb.mutate("Open_vSwitch", which, [("next_cfg", "+=", 1)]),
        ovsdb.select("Open_vSwitch", which, ["next_cfg"]),
    ]


def is_behind(tables: Tables) -> bool:
    """Whether there are counted changes that ovs-vswitchd has not done yet."""
    rows = tables.get("Open_vSwitch", {}).values()
    return any(row.get("cur_cfg", 0) < row.get("next_cfg", 0) for row in rows)


def counted(tables: Tables) -> int:
    """Up to which counted change ovs-vswitchd has done what the database says."""
    rows = tables.get("Open_vSwitch", {}).values()
    return max((row.get("cur_cfg", 0) for row in rows), default=0)


def _new_port(spec: PortSpec, owner: str) -> tuple[list[dict[str, Any]], Ref]:
    interface = _id("interface", spec.name)
    row: Row = {"name": spec.name, "type": spec.type, "options": spec.options}
    if spec.number:
        row["ofport_request"] = spec.number
    port = _id("port", spec.name)
    port_row: Row = {
        "name": spec.name,
        "interfaces": [Ref(interface, new=True)],
        "external_ids": {OWNER: owner},
    }
    operations = [
        ovsdb.insert("Interface", row, interface),
        ovsdb.insert("Port", port_row, port),
    ]
    return operations, Ref(port, new=True)


def _id(kind: str, name: str) -> str:
    """A name within the transaction: letters, digits and underscores."""
    return f"{kind}_{name.encode().hex()}"


def _bridge_changes(
    tables: Tables, uuid: str, row: Row, spec: BridgeSpec, owner: str
) -> list[dict[str, Any]]:
    which = ovsdb.where(_uuid=Ref(uuid))
    operations: list[dict[str, Any]] = []
    columns = _bridge_row(spec, owner)
    if any(row.get(name) != value for name, value in columns.items()):
        operations.append(ovsdb.update("Bridge", which, columns))
    held = ports_of(tables, row)
    wanted = {port.name: port for port in spec.ports}
    gone = [Ref(port) for name, (port, _) in held.items() if name not in {*wanted, spec.name}]
    if gone:
        operations.append(ovsdb.mutate("Bridge", which, [("ports", "delete", gone)]))
    for name, port in wanted.items():
        if name not in held:
            made, ref = _new_port(port, owner)
            operations += made
            operations.append(ovsdb.mutate("Bridge", which, [("ports", "insert", [ref])]))
        else:
            operations += _interface_changes(tables, held[name][1], port)
    return operations


def ports_of(tables: Tables, bridge: Row) -> dict[str, tuple[str, str]]:
    """Ports of a bridge by name, as (port, interface)."""
    out = {}
    for ref in ovsdb.as_list(bridge.get("ports", [])):
        row = tables.get("Port", {}).get(ref.id)
        if row is not None:
            interfaces = ovsdb.as_list(row["interfaces"])
            out[row["name"]] = (ref.id, interfaces[0].id if interfaces else "")
    return out


def _interface_changes(tables: Tables, uuid: str, spec: PortSpec) -> list[dict[str, Any]]:
    row = tables.get("Interface", {}).get(uuid, {})
    columns: Row = {"type": spec.type, "options": spec.options}
    if spec.number:
        columns["ofport_request"] = spec.number
    if all(row.get(name) == value for name, value in columns.items()):
        return []
    return [ovsdb.update("Interface", ovsdb.where(_uuid=Ref(uuid)), columns)]


def interfaces(tables: Tables) -> dict[str, Row]:
    """Every interface by its name."""
    return {row["name"]: row for row in tables.get("Interface", {}).values()}


def number_of(row: Row) -> int:
    """The OpenFlow port of an interface: 0 while it has none, -1 when it cannot be opened."""
    ofport = row.get("ofport", [])
    return ofport if isinstance(ofport, int) else 0
