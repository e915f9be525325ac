# SPDX-License-Identifier: Apache-2.0
"""OVSDB, the database of Open vSwitch (RFC 7047): JSON-RPC framing, values, operations.

Messages follow each other on the stream with nothing between them; `Splitter` finds where one
ends. Database values are Python's own: a set is a list, a map a dict, a reference a `Ref`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from octostack.base.errors import Invalid

MESSAGE_BYTES_MAX: Final = 64 << 20
_INTEREST: Final = re.compile(rb'[{}\[\]"\\]')


class Ref(msgspec.Struct, frozen=True):
    """A row by its UUID, or, `new`, by the name it has within this transaction."""

    id: str
    new: bool = False


Value: TypeAlias = "str | int | float | bool | Ref | list[Any] | dict[Any, Any]"
Row: TypeAlias = "dict[str, Any]"


class Splitter:
    """Cuts a byte stream into JSON texts by counting brackets outside of strings."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._depth = 0
        self._in_string = False

    def feed(self, data: bytes) -> list[bytes]:
        """Every text that is complete now. Raises Invalid when one is endless or misshapen."""
        self._buffer += data
        out = []
        while True:
            end = self._scan()
            if end is None:
                break
            out.append(bytes(self._buffer[:end]))
            del self._buffer[:end]
            self._at = 0
        if len(self._buffer) > MESSAGE_BYTES_MAX:
            raise Invalid("OVSDB message is too long", code="ovsdb.message")
        return out

    def _scan(self) -> int | None:
        while found := _INTEREST.search(self._buffer, self._at):
            char, self._at = found.group(), found.end()
            if self._in_string:
                self._at += char == b"\\"  # the next character is escaped, whatever it is
                self._in_string = char != b'"'
            elif char == b'"':
                self._in_string = True
            elif char in b"{[":
                self._depth += 1
            elif char in b"}]":
                self._depth -= 1
                if self._depth < 0:
                    raise Invalid("OVSDB message is misshapen", code="ovsdb.message")
                if self._depth == 0:
                    return self._at
        self._at = max(self._at, len(self._buffer))
        return None


def request(method: str, params: list[Any], id: int | str | None) -> bytes:
    """A JSON-RPC request, a notification when `id` is None."""
    return msgspec.json.encode({"method": method, "params": params, "id": id})


def reply(result: Any, id: int | str | None) -> bytes:
    """A JSON-RPC reply."""
    return msgspec.json.encode({"result": result, "error": None, "id": id})


def decode(data: bytes) -> dict[str, Any]:
    """A JSON-RPC message. Raises Invalid."""
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.DecodeError as e:
        raise Invalid(f"OVSDB: {e}", code="ovsdb.message") from e


# ---- values (RFC 7047 §5.1) ---------------------------------------------------------------------


def encode_value(value: Any) -> Any:
    """A Python value in the database's notation."""
    if isinstance(value, Ref):
        return ["named-uuid" if value.new else "uuid", value.id]
    if isinstance(value, Mapping):
        return ["map", [[encode_value(k), encode_value(v)] for k, v in value.items()]]
    if isinstance(value, (list, tuple, set, frozenset)):
        return ["set", [encode_value(v) for v in value]]
    return value


def decode_value(value: Any) -> Any:
    """The database's notation as a Python value. Raises Invalid."""
    if not isinstance(value, list):
        return value
    match value:
        case ["uuid", str(name)]:
            return Ref(name)
        case ["named-uuid", str(name)]:
            return Ref(name, new=True)
        case ["set", list(items)]:
            return [decode_value(v) for v in items]
        case ["map", list(pairs)]:
            return {decode_value(k): decode_value(v) for k, v in pairs}
    raise Invalid(f"OVSDB value {value!r}", code="ovsdb.value")


def encode_row(row: Row) -> Row:
    """A row's columns in the database's notation."""
    return {column: encode_value(value) for column, value in row.items()}


def decode_row(row: Row) -> Row:
    """A row's columns as Python values."""
    return {column: decode_value(value) for column, value in row.items()}


def as_list(value: Any) -> list[Any]:
    """A column that holds a set: a set of one is written as the bare value."""
    return value if isinstance(value, list) else [value]


# ---- operations (RFC 7047 §5.2) -----------------------------------------------------------------


def where(**columns: Any) -> list[list[Any]]:
    """Conditions: every named column equals; ``_uuid=Ref(...)`` names one row."""
    return [[column, "==", encode_value(value)] for column, value in columns.items()]


def insert(table: str, row: Row, name: str) -> dict[str, Any]:
    """A new row, called `name` within the transaction."""
    return {"op": "insert", "table": table, "row": encode_row(row), "uuid-name": name}


def update(table: str, which: list[list[Any]], row: Row) -> dict[str, Any]:
    """Set columns of the rows that match."""
    return {"op": "update", "table": table, "where": which, "row": encode_row(row)}


def mutate(
    table: str, which: list[list[Any]], changes: Iterable[tuple[str, str, Any]]
) -> dict[str, Any]:
    """Insert into or delete from columns of the rows that match: (column, mutator, value)."""
    mutations = [[column, how, encode_value(value)] for column, how, value in changes]
    return {"op": "mutate", "table": table, "where": which, "mutations": mutations}


def delete(table: str, which: list[list[Any]]) -> dict[str, Any]:
    """Remove the rows that match."""
    return {"op": "delete", "table": table, "where": which}


def select(table: str, which: list[list[Any]], columns: list[str]) -> dict[str, Any]:
    """Read the rows that match."""
    return {"op": "select", "table": table, "where": which, "columns": columns}


def apply_update(tables: dict[str, dict[str, Row]], updates: dict[str, Any]) -> None:
    """Bring a copy of the database (table, uuid, row) up to what a monitor said."""
    for table, rows in updates.items():
        held = tables.setdefault(table, {})
        for uuid, change in rows.items():
            if change.get("new") is None:
                held.pop(uuid, None)
            else:
                held[uuid] = {**held.get(uuid, {}), **decode_row(change["new"])}
