# SPDX-License-Identifier: Apache-2.0
"""Commands to one monitor or manager itself: ``ceph tell mon.a ...``.

What it is told to go by holds here, at once, and until its process ends.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from octostack.engines.ceph.mon.core import options, settings, views
from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.commands.table import Command, describe

if TYPE_CHECKING:
    from octostack.engines.ceph.mon.core.commands.table import Query

VERSION: Final = {"version": "16.2.15", "release": "pacific", "release_type": "stable"}


def run(query: Query, daemon: str) -> Answer:
    """Do what is asked of the daemon of that name. Raises Failure."""
    prefix = query.arguments["prefix"]
    kind, _, name = daemon.partition(".")
    table = TABLE if kind == "mon" else OF_MANAGERS
    if prefix == "get_command_descriptions":
        return Answer(describe(table))
    command = find(prefix, table)
    if command is None:
        raise Failure(errno.EINVAL, f"command '{prefix}' not known")
    query.arguments |= {"whoami": name, "daemon": daemon}
    return command.act(query)


def find(prefix: str, table: tuple[Command, ...]) -> Command | None:
    """The command of that table."""
    return next((command for command in table if command.prefix == prefix), None)


def _version(query: Query) -> Answer:
    return query.show(VERSION)


def _value(query: Query, name: str) -> str:
    value = options.value_of(query.config, name, query.text("daemon"))
    if value is None:
        raise Failure(errno.ENOENT, f"error getting '{name}': (2) No such file or directory")
    return value


def _config_get(query: Query) -> Answer:
    name = options.option_name(query.text("var"))
    return query.show({name: _value(query, name)})


def _config_show(query: Query) -> Answer:
    who = query.text("daemon")
    return query.show({"name": who, "cluster": "ceph", **options.all_values(query.config, who)})


def _set(query: Query, name: str, text: str) -> str:
    option = options.find(name)
    if option is None:
        why = f"error setting '{name}' to '{text}': (2) No such file or directory"
        raise Failure(errno.ENOENT, why)
    query.told[name] = options.parse(option, text)
    return f"{name} = '{query.told[name]}' "


def _config_set(query: Query) -> Answer:
    words = query.arguments["val"]
    text = " ".join(map(str, words)) if isinstance(words, list) else str(words)
    return query.show({"success": _set(query, options.option_name(query.text("var")), text)})


def _config_unset(query: Query) -> Answer:
    name = options.option_name(query.text("var"))
    query.told.pop(name, None)
    return query.show({"success": f"{name} = '{_value(query, name)}' "})


def _config_diff(query: Query) -> Answer:
    central = settings.effective(query.state.config, query.text("daemon"))
    found: dict[str, dict[str, str]] = {}
    for source, known in (("mon", central), ("override", query.told)):
        for name, value in known.items():
            found.setdefault(name, {"default": options.default_of(name) or ""})[source] = value
            found[name]["final"] = value
    return query.show({"diff": dict(sorted(found.items()))})


def _inject(query: Query) -> Answer:
    words = " ".join(map(str, query.arguments["injected_args"])).replace("=", " ").split()
    done = ""
    while words:
        name = options.option_name(words.pop(0).removeprefix("--"))
        if not words:
            raise Failure(errno.EINVAL, f"option {name} needs a value")
        done += _set(query, name, words.pop(0))
    return Answer(b"{}", done)


def _sessions(query: Query) -> Answer:
    return query.show([views.session(one) for one in query.who.sessions])


def _line(words: str, says: str, act: Callable[[Query], Answer], permission: str = "r") -> Command:
    return Command(words, says, "mon", permission, act)


_VAR: Final = "name=var,type=CephString"
_OPTIONS: Final = (
    _line("version", "what this daemon is", _version),
    _line(f"config get {_VAR}", "the value of an option", _config_get),
    _line(f"config set {_VAR} name=val,type=CephString,n=N", "set it here", _config_set, "rw"),
    _line(f"config unset {_VAR}", "as the central configuration has it", _config_unset, "rw"),
    _line("config show", "the values of all options", _config_show),
    _line("config diff", "those that are not as they are by default", _config_diff),
    _line("injectargs name=injected_args,type=CephString,n=N", "set options here", _inject, "rw"),
)
TABLE: Final = (
    *_OPTIONS,
    _line("mon_status", "how this monitor is", lambda query: query.show(views.mon_status(query))),
    _line("ops", "operations under way", lambda query: query.show({"ops": [], "num_ops": 0})),
    _line("sessions", "who is connected", _sessions),
    _line("perf dump", "counters", lambda query: query.show(query.who.counters)),
)
OF_MANAGERS: Final = tuple(
    msgspec.structs.replace(command, module="mgr")
    for command in (
        *_OPTIONS,
        _line(
            "status",
            "how this manager is",
            lambda query: query.show({"active": True, "name": query.text("whoami")}),
        ),
    )
)
