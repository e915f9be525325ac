# SPDX-License-Identifier: Apache-2.0
"""Kinds of values: a function takes what a client sent and gives what we keep.

A value that is wrong raises ValueError with the reason, in Neutron's words; `resource` says which
attribute it was. Values come from anyone: nothing here may fail in another way.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Any

from octostack.runtime.http import masked

Parse = Callable[[Any], Any]

TEXT_MAX = 255
INT_MAX = 2**31 - 1
_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
_DNS_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_TRUE = frozenset(("1", "t", "true", "on", "y", "yes"))
_FALSE = frozenset(("0", "f", "false", "off", "n", "no"))


def anything(value: Any) -> Any:
    """Whatever was sent; a later check knows it."""
    return value


def boolean(value: Any) -> bool:
    """A truth in any of the spellings that clients use."""
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"'{value}' cannot be converted to boolean")


def integer(value: Any) -> int:
    """A number, or its text."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError) as e:
        raise ValueError(f"'{value}' is not an integer") from e
    if isinstance(value, float) or not -INT_MAX <= number <= INT_MAX:
        raise ValueError(f"'{value}' is not an integer")
    return number


def between(low: int, high: int) -> Parse:
    """An integer in a range."""

    def parse(value: Any) -> int:
        number = integer(value)
        if number < low:
            raise ValueError(f"'{value}' is too small - must be at least '{low}'")
        if number > high:
            raise ValueError(f"'{value}' is too large - must be no larger than '{high}'")
        return number

    return parse


def non_negative(value: Any) -> int:
    """A number from nought."""
    number = integer(value)
    if number < 0:
        raise ValueError(f"'{value}' should be non-negative")
    return number


def string(size_max: int = TEXT_MAX) -> Parse:
    """A text of at most so many characters."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or "\x00" in value:
            raise ValueError(f"'{_safe(value)}' is not a valid string")
        if len(value) > size_max:
            raise ValueError(f"'{value}' exceeds maximum length of {size_max}")
        return value

    return parse


text = string()


def not_blank(value: Any) -> str:
    """A text that says something."""
    given: str = text(value)
    if not given.strip():
        raise ValueError(f"'{value}' Blank strings are not permitted")
    return given


def one_of(*values: Any) -> Parse:
    """One of the values listed."""

    def parse(value: Any) -> Any:
        try:
            if value in values and not isinstance(value, bool):
                return value
        except TypeError:
            pass
        raise ValueError(f"'{_safe(value)}' is not in {list(values)}")

    return parse


def int_of(*values: int) -> Parse:
    """One of the numbers listed, or its text."""
    check = one_of(*values)
    return lambda value: check(integer(value))


def or_none(parse: Parse) -> Parse:
    """Null, or what `parse` takes."""
    return lambda value: None if value is None else parse(value)


def uuid(value: Any) -> str:
    """An id as text."""
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise ValueError(f"'{_safe(value)}' is not a valid UUID")
    return value


def mac(value: Any) -> str:
    """The address of a network card, in lower case with colons."""
    found = value.lower().replace("-", ":") if isinstance(value, str) else ""
    if not _MAC.fullmatch(found) or found == "00:00:00:00:00:00" or int(found[:2], 16) & 1:
        raise ValueError(f"'{_safe(value)}' is not a valid MAC address")
    return found


def ip(value: Any) -> str:
    """An IPv4 or IPv6 address in its usual spelling."""
    try:
        return str(ipaddress.ip_address(_plain(value)))
    except ValueError as e:
        raise ValueError(f"'{_safe(value)}' is not a valid IP address") from e


def cidr(value: Any) -> str:
    """A subnet; host bits are cut off, as Neutron does."""
    try:
        given = _plain(value)
        if "/" not in given:
            raise ValueError(given)
        return str(ipaddress.ip_network(given, strict=False))
    except ValueError as e:
        raise ValueError(f"'{_safe(value)}' is not a valid IP subnet") from e


def prefix(value: Any) -> str:
    """An address or a subnet."""
    return cidr(value) if isinstance(value, str) and "/" in value else ip(value)


def listing(parse: Parse, *, unique: bool = True, count_max: int = 1000) -> Parse:
    """A list of items; null is the empty one."""

    def parse_all(value: Any) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            raise ValueError(f"'{_safe(value)}' is not a list")
        if len(value) > count_max:
            raise ValueError(f"the list is longer than {count_max}")
        items = [parse(item) for item in value]
        if unique:
            _refuse_twice(items)
        return items

    return parse_all


def table(**keys: Parse) -> Parse:
    """A dictionary with exactly these keys."""

    def parse(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError(f"'{_safe(value)}' is not a dictionary")
        if set(value) != set(keys):
            raise ValueError(
                f"Validation of dictionary's keys failed. Expected keys: {sorted(keys)} "
                f"Provided keys: {sorted(map(_safe, value))}"
            )
        return {key: parse_one(value[key]) for key, parse_one in keys.items()}

    return parse


def dictionary(value: Any) -> dict[str, Any]:
    """An object; null is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"'{_safe(value)}' is not a dictionary")
    return value


def pools(value: Any) -> list[dict[str, str]]:
    """Allocation pools: [{"start": ip, "end": ip}, ...]."""
    if not isinstance(value, list):
        raise ValueError(f"Invalid data format for IP pool: '{_safe(value)}'")
    for item in value:
        if not isinstance(item, dict) or set(item) != {"start", "end"}:
            raise ValueError(f"Invalid data format for IP pool: '{_safe(item)}'")
    return [{"start": ip(item["start"]), "end": ip(item["end"])} for item in value]


def nameservers(value: Any) -> list[str]:
    """DNS servers, in order."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"Invalid data format for nameserver: '{_safe(value)}'")
    found: list[str] = []
    for item in value:
        try:
            address = ip(item)
        except ValueError as e:
            raise ValueError(f"'{_safe(item)}' is not a valid nameserver. {e}") from e
        if address in found:
            raise ValueError(f"Duplicate nameserver '{item}'")
        found.append(address)
    return found


def routes(value: Any) -> list[dict[str, str]]:
    """Static routes: [{"destination": cidr, "nexthop": ip}, ...]."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"Invalid data format for hostroute: '{_safe(value)}'")
    found: list[dict[str, str]] = []
    for item in value:
        if not isinstance(item, dict) or set(item) != {"destination", "nexthop"}:
            raise ValueError(f"Invalid data format for hostroute: '{_safe(item)}'")
        route = {"destination": cidr(item["destination"]), "nexthop": ip(item["nexthop"])}
        if route in found:
            raise ValueError(f"Duplicate hostroute '{item}'")
        found.append(route)
    return found


def fixed_ips(value: Any) -> list[dict[str, str]]:
    """Wanted addresses: items with a subnet, an address, or both."""
    if not isinstance(value, list):
        raise ValueError(f"Invalid data format for fixed IP: '{_safe(value)}'")
    found: list[dict[str, str]] = []
    for item in value:
        if not isinstance(item, dict) or not set(item) <= {"subnet_id", "ip_address"} or not item:
            raise ValueError(f"Invalid data format for fixed IP: '{_safe(item)}'")
        wanted = {}
        if "subnet_id" in item:
            wanted["subnet_id"] = uuid(item["subnet_id"])
        if item.get("ip_address") is not None:
            wanted["ip_address"] = ip(item["ip_address"])
            if any(other.get("ip_address") == wanted["ip_address"] for other in found):
                raise ValueError(f"Duplicate IP address '{item['ip_address']}'")
        if wanted:
            found.append(wanted)
    return found


def dns_name(value: Any) -> str:
    """A host name or a fully qualified one; "" takes it away."""
    given: str = text(value)
    labels = given.rstrip(".").split(".") if given else []
    if not all(_DNS_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"'{given}' is not a valid DNS name")
    return given.lower()


def tags(value: Any) -> list[str]:
    """Tags: unique texts of at most 255 characters."""
    if not isinstance(value, list):
        raise ValueError(f"'{_safe(value)}' is not a list")
    for item in value:
        text(item)
    _refuse_twice(value)
    return sorted(value)


def _plain(value: Any) -> str:
    if not isinstance(value, str) or value != value.strip() or "%" in value:
        raise ValueError(value)
    return value


def _safe(value: Any) -> str:
    shown = str(masked(value))
    return shown if len(shown) <= TEXT_MAX else shown[:TEXT_MAX] + "..."


def _refuse_twice(items: Iterable[Any]) -> None:
    seen: list[Any] = []
    known: set[str] = set()
    for item in items:
        key = repr(item)
        if key in known:
            seen.append(item)
        known.add(key)
    if seen:
        raise ValueError(f"Duplicate items in the list: '{', '.join(map(str, seen))}'")
