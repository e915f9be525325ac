# SPDX-License-Identifier: Apache-2.0
"""Commands to one monitor itself: ``ceph tell mon.a ...``."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from octostack.engines.ceph.mon.core import options, views
from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.commands.table import Command, describe

if TYPE_CHECKING:
    from octostack.engines.ceph.mon.core.commands.table import Query

VERSION: Final = {"version": "16.2.15", "release": "pacific", "release_type": "stable"}


def run(query: Query, name: str) -> Answer:
    """Do what is asked of the monitor of that name. Raises Failure."""
    prefix = query.arguments["prefix"]
    if prefix == "get_command_descriptions":
        return Answer(describe(TABLE))
    command = _BY_PREFIX.get(prefix)
    if command is None:
        raise Failure(errno.EINVAL, f"command '{prefix}' not known")
    query.arguments["whoami"] = name
    return command.act(query)


def _version(query: Query) -> Answer:
    return query.show(VERSION)


def _config_get(query: Query) -> Answer:
    name = options.option_name(query.text("var"))
    value = options.value_of(query.state.config, name, f"mon.{query.text('whoami')}")
    if value is None:
        raise Failure(errno.ENOENT, f"error getting '{name}': (2) No such file or directory")
    return query.show({name: value})


def _config_show(query: Query) -> Answer:
    who = f"mon.{query.text('whoami')}"
    values = options.all_values(query.state.config, who)
    return query.show({"name": who, "cluster": "ceph", **values})


def _sessions(query: Query) -> Answer:
    return query.show([views.session(one) for one in query.who.sessions])


_VAR: Final = "name=var,type=CephString"
TABLE: Final = (
    Command("version", "what this daemon is", "mon", "r", _version),
    Command("mon_status", "how this monitor is", "mon", "r", lambda q: q.show(views.mon_status(q))),
    Command(f"config get {_VAR}", "the value of an option", "mon", "r", _config_get),
    Command("ops", "operations under way", "mon", "r", lambda q: q.show({"ops": [], "num_ops": 0})),
    Command("config show", "the values of all options", "mon", "r", _config_show),
    Command("sessions", "who is connected", "mon", "r", _sessions),
    Command("perf dump", "counters", "mon", "r", lambda query: query.show(query.who.counters)),
)
_BY_PREFIX = {command.prefix: command for command in TABLE}
