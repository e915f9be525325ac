# SPDX-License-Identifier: Apache-2.0
"""A declared table of attributes, and everything that follows from it.

A resource is its attributes. From the same line come: what a body may hold and how it is checked,
what a query may filter and sort by, which attributes have a policy rule of their own, and what an
answer shows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Any, get_type_hints

import msgspec

from octostack.base import clock
from octostack.services.network.model.faults import fault
from octostack.services.network.schema import types

UNSET: Any = msgspec.UNSET  # not given, and there is no value to fill in here
REQUIRED: Any = object()


class Attr(msgspec.Struct, frozen=True):
    """One attribute. `field` is the row's field where its name differs; None: not in the row.

    `default` REQUIRED: a create must give it. UNSET: left to the service. `enforce`: the rule
    ``create_X:name`` (``update_``, ``get_``) guards it. `show` turns the row's value to the shown.
    """

    name: str
    parse: types.Parse = types.anything
    default: Any = UNSET
    post: bool = False
    put: bool = False
    visible: bool = True
    filter: bool = True
    sort: bool = True
    enforce: tuple[str, ...] = ()  # of create, update, get
    field: str | None = ""
    show: Callable[[Any], Any] | None = None


class Resource:
    """One kind of thing of the API."""

    def __init__(
        self, name: str, plural: str, noun: type[Any], attrs: Iterable[Attr], *, path: str = ""
    ) -> None:
        self.name = name
        self.plural = plural
        self.noun = noun
        self.path = path or plural.replace("_", "-")
        self.attrs = {attr.name: attr for attr in (*_HEAD, *_TAIL, *attrs)}
        if "name" not in noun.__struct_fields__:
            self.attrs.pop("name", None)
        self._shown = [a for a in self.attrs.values() if a.visible and a.field is not None]
        self._names = [attr.name for attr in self._shown]
        self._read = attrgetter(*(field_of(attr) for attr in self._shown))
        self._turned = [(attr.name, attr.show) for attr in self._shown if attr.show]
        self.readers = dict(_readers(self.attrs.values(), noun))
        self.guarded_views = [a.name for a in self.attrs.values() if "get" in a.enforce]

    def view(self, row: Any) -> dict[str, Any]:
        """The row as it is shown, without what is computed from other rows."""
        shown = dict(zip(self._names, self._read(row), strict=True))
        for name, show in self._turned:
            shown[name] = show(shown[name])
        return shown

    def parse_new(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """A create's attributes, checked and filled with defaults. Raises Invalid."""
        self._refuse_unknown(given)
        values: dict[str, Any] = {}
        for name, attr in self.attrs.items():
            if name in given and not attr.post:
                raise bad(f"Attribute '{name}' not allowed in POST", name)
            if not attr.post:
                continue
            if name in given and given[name] is not UNSET:
                values[name] = _checked(attr, given[name])
            elif attr.default is REQUIRED:
                raise bad(f"Failed to parse request. Required attribute '{name}' not specified")
            else:
                values[name] = attr.default
        return values

    def parse_changes(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """An update's attributes, checked. Raises Invalid."""
        self._refuse_unknown(given)
        for name in given:
            if not self.attrs[name].put:
                raise bad(f"Cannot update read-only attribute {name}", name)
        return {name: _checked(self.attrs[name], value) for name, value in given.items()}

    def _refuse_unknown(self, given: Mapping[str, Any]) -> None:
        unknown = [name for name in given if name not in self.attrs]
        if unknown:
            raise bad(f"Unrecognized attribute(s) '{', '.join(unknown)}'", unknown[0])


def _readers(attrs: Iterable[Attr], noun: type[Any]) -> Iterator[tuple[str, types.Parse]]:
    """For filters: how the text of a query becomes a number or a truth value."""
    hints = get_type_hints(noun)
    for attr in attrs:
        hint = hints.get(field_of(attr)) if attr.field is not None else None
        if hint is bool or (attr.field is None and attr.parse is types.boolean):
            yield attr.name, types.boolean
        elif hint is int or hint == int | None:
            yield attr.name, types.integer
        elif hint is float:
            yield attr.name, clock.parse_iso
        elif attr.name == "mac_address":
            yield attr.name, str.lower


def field_of(attr: Attr) -> str:
    """The row's field behind an attribute."""
    return attr.field or attr.name


def to_fields(resource: Resource, values: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes by the names of the row's fields, without those unset or not in the row."""
    return {
        field_of(resource.attrs[name]): value
        for name, value in values.items()
        if value is not UNSET and resource.attrs[name].field is not None
    }


def bad(reason: str, field: str = "") -> Exception:
    """A request that is wrong, in the web framework's form as Neutron answers it."""
    error = fault("HTTPBadRequest", reason=reason)
    if field:
        error.details["field"] = field
    return error


def invalid(reason: str) -> Exception:
    """A request that is well-formed and makes no sense."""
    return fault("InvalidInput", error_message=reason)


def _checked(attr: Attr, value: Any) -> Any:
    try:
        return attr.parse(value)
    except ValueError as e:
        raise bad(f"Invalid input for {attr.name}. Reason: {e}.", attr.name) from e


@lru_cache(maxsize=4096)
def _second(t: int) -> str:
    return clock.iso(t)


def iso(t: float) -> str:
    """The time to the second; rows made together share its text."""
    return _second(int(t))


_HEAD = (
    Attr("id", types.uuid),
    Attr("name", types.text, "", post=True, put=True),
    Attr("tenant_id", types.text, post=True, field="project_id"),
    Attr("project_id", types.text, post=True),
)
_TAIL = (
    Attr("description", types.text, "", post=True, put=True),
    Attr("tags", types.tags, sort=False),
    Attr("created_at", show=iso),
    Attr("updated_at", show=iso),
    Attr("revision_number", types.integer),
)
