# SPDX-License-Identifier: Apache-2.0
"""Commands about the central configuration and the key-value pairs kept for others."""

import errno
from typing import Final

from octostack.engines.ceph.mon.core import settings
from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.state import Change

KEY_BYTES_MAX: Final = 64 << 10


def _set(query: Query) -> Answer:
    who, name = query.text("who"), settings.option_name(query.text("name"))
    config = dict(query.state.config)
    config[who] = {**config.get(who, {}), name: query.text("value")}
    return Answer(change=Change(config=config))


def _rm(query: Query) -> Answer:
    who, name = query.text("who"), settings.option_name(query.text("name"))
    config = dict(query.state.config)
    left = {key: value for key, value in config.get(who, {}).items() if key != name}
    config[who] = left
    return Answer(change=Change(config={k: v for k, v in config.items() if v}))


def _get(query: Query) -> Answer:
    found = settings.effective(query.state.config, query.text("who"))
    key = query.text("key")
    if key:
        name = settings.option_name(key)
        value = found.get(name, settings.DEFAULTS.get(name))
        if value is None:
            raise Failure(errno.ENOENT, f"unrecognized key '{key}'")
        return Answer(value.encode() + b"\n")
    shown = {name: {"value": value, "section": query.text("who")} for name, value in found.items()}
    text = "WHO  MASK  LEVEL  OPTION  VALUE  RO\n" + "".join(
        f"{query.text('who')}    advanced  {name}  {value}\n" for name, value in found.items()
    )
    return query.show(shown, text)


def _dump(query: Query) -> Answer:
    rows = [
        {
            "section": section,
            "name": name,
            "value": value,
            "level": "advanced",
            "can_update_at_runtime": True,
            "mask": "",
            "location_type": "",
            "location_value": "",
        }
        for section, options in sorted(query.state.config.items())
        for name, value in sorted(options.items())
    ]
    lines = [f"{row['section']}        advanced  {row['name']}  {row['value']}\n" for row in rows]
    return query.show(rows, "WHO  MASK  LEVEL  OPTION  VALUE  RO\n" + "".join(lines))


def _key_get(query: Query) -> Answer:
    key = query.text("key")
    value = query.state.config_keys.get(key)
    if value is None:
        raise Failure(errno.ENOENT, f"error obtaining '{key}': (2) No such file or directory")
    return Answer(value, f"obtained '{key}'")


def _key_set(query: Query) -> Answer:
    key = query.text("key")
    value = query.data or query.text("val").encode()
    if len(value) > KEY_BYTES_MAX:
        raise Failure(errno.EFBIG, f"error: entry size limited to {KEY_BYTES_MAX} bytes.")
    keys = {**query.state.config_keys, key: value}
    return Answer(status=f"set {key}", change=Change(config_keys=keys))


def _key_rm(query: Query) -> Answer:
    key = query.text("key")
    if key not in query.state.config_keys:
        return Answer(status=f"no such key '{key}'")
    keys = {name: value for name, value in query.state.config_keys.items() if name != key}
    return Answer(status="key deleted", change=Change(config_keys=keys))


def _key_ls(query: Query) -> Answer:
    return query.show(sorted(query.state.config_keys))


def _key_exists(query: Query) -> Answer:
    key = query.text("key")
    if key not in query.state.config_keys:
        raise Failure(errno.ENOENT, f"key '{key}' doesn't exist")
    return Answer(status=f"key '{key}' exists")


_WHO: Final = "name=who,type=CephString"
_KEY: Final = "name=key,type=CephString"

TABLE: Final = (
    Command(
        f"config set {_WHO} name=name,type=CephString name=value,type=CephString "
        "name=force,type=CephBool,req=false",
        "Set a configuration option for one or more entities",
        "config",
        "rw",
        _set,
    ),
    Command(
        f"config rm {_WHO} name=name,type=CephString",
        "Clear a configuration option for one or more entities",
        "config",
        "rw",
        _rm,
    ),
    Command(
        f"config get {_WHO} name=key,type=CephString,req=false",
        "Show configuration option(s) for an entity",
        "config",
        "r",
        _get,
    ),
    Command("config dump", "Show all configuration option(s)", "mon", "r", _dump),
    Command(f"config-key get {_KEY}", "get <key>", "config-key", "r", _key_get),
    Command(
        f"config-key set {_KEY} name=val,type=CephString,req=false",
        "set <key> to value <val>",
        "config-key",
        "rw",
        _key_set,
    ),
    Command(f"config-key rm {_KEY}", "rm <key>", "config-key", "rw", _key_rm),
    Command("config-key ls", "list keys", "config-key", "r", _key_ls),
    Command(
        f"config-key exists {_KEY}", "check for <key>'s existence", "config-key", "r", _key_exists
    ),
)
