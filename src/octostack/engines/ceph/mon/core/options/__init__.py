# SPDX-License-Identifier: Apache-2.0
"""The options of the central configuration: what there is, of which type, and what holds unset.

The names and types are those of Ceph 16.2, as clients and gateways of Ceph read theirs from here.
What our own daemons act on is declared here with its default: those are `DECLARED`.
"""

import errno
from functools import cache
from typing import Any, Final

import msgspec

from octostack.engines.ceph.core.options import DECLARED
from octostack.engines.ceph.mon.core.answers import Failure
from octostack.engines.ceph.mon.core.options import flags, numbers, texts
from octostack.engines.ceph.mon.core.settings import Config, effective, option_name

__all__ = ["option_name"]

_TRUE: Final = frozenset({"true", "yes", "1", "on"})
_FALSE: Final = frozenset({"false", "no", "0", "off"})
_UNITS: Final = "KMGTPE"
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Option(msgspec.Struct, frozen=True):
    """One option."""

    name: str
    type: str
    level: str
    runtime: bool  # whether a daemon that runs takes a change


@cache
def all_options() -> dict[str, Option]:
    """By name."""
    found = {}
    for table in (flags.KNOWN, numbers.KNOWN, texts.KNOWN):
        for (kind, level, runtime), names in table.items():
            for name in names.split():
                found[name] = Option(name, kind, level, runtime)
    return found


def find(name: str) -> Option | None:
    """The option; options of a manager's modules are taken as texts."""
    if name.startswith("mgr/"):
        return Option(name, "str", "advanced", True)
    if name.startswith("debug_"):  # one for each part of a daemon that logs
        return Option(name, "str", "advanced", True)
    return all_options().get(name)


def get(name: str) -> Option:
    """The same. Raises Failure EINVAL."""
    found = find(name)
    if found is None:
        raise Failure(errno.EINVAL, f"unrecognized config option '{name}'")
    return found


def parse(option: Option, text: str) -> str:
    """The value as it is kept. Raises Failure EINVAL."""
    try:
        return _PARSERS.get(option.type, _text)(option, text)
    except ValueError as error:
        raise Failure(errno.EINVAL, f"error parsing value: {error}") from None


def _text(option: Option, text: str) -> str:
    if option.name.startswith("debug_") and "/" not in text:
        return f"{int(text)}/{int(text)}"
    return text


def _flag(_option: Option, text: str) -> str:
    if text.lower() in _TRUE:
        return "true"
    if text.lower() in _FALSE:
        return "false"
    raise ValueError(f"Expected option value to be boolean, got '{text}'")


def _number(_option: Option, text: str) -> str:
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    digits = digits.removesuffix("B").removesuffix("i")
    if not digits:
        raise ValueError("strict_sistrtoll: value not specified")
    unit = _UNITS.find(digits[-1].upper()) if digits[-1].isalpha() else -1
    if digits[-1].isalpha() and unit < 0:
        raise ValueError("strict_si_cast: unit prefix not recognized")
    number = digits[:-1] if unit >= 0 else digits
    if not number.isdigit():
        raise ValueError(f"Expected option value to be integer, got '{text}'")
    return sign + str(int(number) << 10 * (unit + 1))


def _fraction(_option: Option, text: str) -> str:
    return f"{float(text):f}"


def _seconds(_option: Option, text: str) -> str:
    if text[-1:] in _SECONDS:
        return str(int(text[:-1]) * _SECONDS[text[-1]])
    return str(int(text))


_PARSERS: Final = {
    "bool": _flag,
    "int": _number,
    "uint": _number,
    "size": _number,
    "float": _fraction,
    "secs": _seconds,
    "millisecs": _seconds,
}


def default_of(name: str) -> str | None:
    """What holds when nobody has set it; None for what is not ours."""
    known = DECLARED.get(name)
    return known.default if known else None


def value_of(config: Config, name: str, entity: str) -> str | None:
    """What holds for a daemon."""
    found = effective(config, entity).get(name)
    return found if found is not None else default_of(name)


def all_values(config: Config, entity: str) -> dict[str, str]:
    """All that a daemon declares, and what is set for it."""
    kind = entity.partition(".")[0]
    own = {name: one.default for name, one in DECLARED.items() if kind in one.daemons}
    return dict(sorted((own | effective(config, entity)).items()))


def explain(name: str) -> dict[str, Any] | None:
    """As the command `config help` shows it."""
    option, ours = find(name), DECLARED.get(name)
    if option is None:
        return None
    default: Any = ours.default if ours else ""
    if ours and option.type in {"int", "uint", "size", "secs", "millisecs"}:
        default = int(default)
    elif ours and option.type == "bool":
        default = default == "true"
    elif ours and option.type == "float":
        default = float(default)
    return {
        "name": option.name,
        "type": option.type,
        "level": option.level,
        "desc": ours.help if ours else "",
        "long_desc": "",
        "default": default,
        "daemon_default": "",
        "tags": [],
        "services": list(ours.daemons) if ours else [],
        "see_also": [],
        "min": "",
        "max": "",
        "can_update_at_runtime": option.runtime,
        "flags": ["runtime"] if option.runtime else [],
    }
