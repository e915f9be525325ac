# SPDX-License-Identifier: Apache-2.0
"""The commands of `ceph`, as one table.

A line has the words and parameters in Ceph's own notation, which clients get as JSON and check
what was typed against; a line of help; who may (`r`, `rw`, `rwx` of a part); and the function.
"""

import errno
from collections.abc import Iterable
from typing import Any

import msgspec

from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.commands import (
    auth,
    cluster,
    crush,
    crush_rules,
    daemons,
    lifecycle,
    limits,
    logs,
    monmaps,
    mutes,
    osd,
    overrides,
    pool,
    profiles,
    quotas,
    settings,
    tree,
)
from octostack.engines.ceph.mon.core.commands.table import Command, Query, describe

TABLE: tuple[Command, ...] = (
    *cluster.TABLE,
    *osd.TABLE,
    *crush.TABLE,
    *crush_rules.TABLE,
    *overrides.TABLE,
    *pool.TABLE,
    *settings.TABLE,
    *auth.TABLE,
    *daemons.TABLE,
    *lifecycle.TABLE,
    *limits.TABLE,
    *logs.TABLE,
    *monmaps.TABLE,
    *mutes.TABLE,
    *profiles.TABLE,
    *quotas.TABLE,
    *tree.TABLE,
)


class Commands:
    """A table that others may add to."""

    def __init__(self, table: Iterable[Command] = TABLE) -> None:
        self._by_prefix = {command.prefix: command for command in (_DESCRIBE, *table)}

    def add(self, table: Iterable[Command]) -> None:
        """More of them."""
        self._by_prefix |= {command.prefix: command for command in table}

    def get(self, prefix: str) -> Command:
        """The command of these words. Raises Failure EINVAL."""
        command = self._by_prefix.get(prefix)
        if command is None:
            raise Failure(errno.EINVAL, "command not known")
        return command

    def run(self, query: Query) -> Answer:
        """Do what `query.arguments` ask. Raises Failure."""
        command = self.get(query.arguments["prefix"])
        if command is _DESCRIBE:
            return Answer(describe(self._by_prefix.values()))
        for parameter in command.parameters:
            if parameter.required and parameter.name not in query.arguments:
                raise Failure(errno.EINVAL, f"missing required parameter {parameter.name}")
        return command.act(query)


_DESCRIBE = Command(
    "get_command_descriptions", "what there is to command", "mon", "r", lambda _query: Answer()
)
_OWN = Commands()


def parse(words: tuple[str, ...]) -> dict[str, Any]:
    """The JSON that a client sends, as one string. Raises Failure."""
    try:
        found = msgspec.json.decode("".join(words), type=dict[str, Any])
    except msgspec.DecodeError:
        raise Failure(errno.EINVAL, "command is not JSON") from None
    if not isinstance(found.get("prefix"), str):
        raise Failure(errno.EINVAL, "command has no prefix")
    return found


def run(query: Query) -> Answer:
    """Do what a monitor without a manager can. Raises Failure."""
    return _OWN.run(query)


def descriptions() -> bytes:
    """What `get_command_descriptions` gives."""
    return describe(TABLE)
