# SPDX-License-Identifier: Apache-2.0
"""The commands of `ceph`, as one table.

A line has the words and parameters in Ceph's own notation, which clients get as JSON and check
what was typed against; a line of help; who may (`r`, `rw`, `rwx` of a part); and the function.
"""

import errno
from typing import Any

import msgspec

from octostack.engines.ceph.mon.core.answers import Answer, Failure, formatted
from octostack.engines.ceph.mon.core.commands import (
    auth,
    cluster,
    crush,
    crush_rules,
    osd,
    overrides,
    pool,
    settings,
)
from octostack.engines.ceph.mon.core.commands.table import Command, Query

TABLE: tuple[Command, ...] = (
    Command(
        "get_command_descriptions",
        "what there is to command",
        "mon",
        "r",
        lambda query: Answer(descriptions()),
    ),
    *cluster.TABLE,
    *osd.TABLE,
    *crush.TABLE,
    *crush_rules.TABLE,
    *overrides.TABLE,
    *pool.TABLE,
    *settings.TABLE,
    *auth.TABLE,
)
_BY_PREFIX = {command.prefix: command for command in TABLE}


def get(prefix: str) -> Command:
    """The command of these words. Raises Failure EINVAL."""
    command = _BY_PREFIX.get(prefix)
    if command is None:
        raise Failure(errno.EINVAL, f"command '{prefix}' not known")
    return command


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
    """Do what `query.arguments` ask. Raises Failure."""
    command = get(query.arguments["prefix"])
    for parameter in command.parameters:
        if parameter.required and parameter.name not in query.arguments:
            raise Failure(errno.EINVAL, f"missing required parameter {parameter.name}")
    return command.act(query)


def descriptions() -> bytes:
    """What `get_command_descriptions` gives."""
    return formatted(
        {
            f"cmd{number:03}": {
                "sig": command.signature,
                "help": command.help,
                "module": command.module,
                "perm": command.permission,
                "flags": 0,
            }
            for number, command in enumerate(TABLE)
        },
        "json",
    )
