# SPDX-License-Identifier: Apache-2.0
"""Commands about the central configuration and the key-value pairs kept for others."""

import errno
from typing import Any, Final

from octostack.engines.ceph.mon.core import options, printing, settings
from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.printing import table
from octostack.engines.ceph.mon.core.state import CONFIG_CHANGES_KEPT, Change, ConfigChange
from octostack.wire.ceph.addresses import format_many

KEY_BYTES_MAX: Final = 64 << 10


def _changed(query: Query, who: str, name: str, value: str | None) -> Answer:
    """One option of one section set, or with None taken away; nothing when it is so."""
    config = query.state.config
    known = config.get(who, {}).get(name)
    if known == value:
        return Answer()
    left = {key: one for key, one in config.get(who, {}).items() if key != name}
    made = {**config, who: left if value is None else {**left, name: value}}
    step = ConfigChange(query.now_ns, "", ((f"{who}/{name}", known, value),))
    log = (*query.state.config_log, step)[-CONFIG_CHANGES_KEPT:]
    sections = {section: found for section, found in made.items() if found}
    return Answer(change=Change(config=sections, config_log=log))


def _who(query: Query) -> str:
    who = query.text("who")
    kind = who.partition(".")[0].partition("/")[0]
    if kind not in {"global", "mon", "mgr", "osd", "mds", "client", "host", "class"}:
        raise Failure(errno.EINVAL, f"unrecognized entity '{who}'")
    return who


def _set(query: Query) -> Answer:
    who, name = _who(query), options.option_name(query.text("name"))
    value = query.text("value")
    if options.find(name) is None and query.arguments.get("force"):
        return _changed(query, who, name, value)
    return _changed(query, who, name, options.parse(options.get(name), value))


def _rm(query: Query) -> Answer:
    return _changed(query, _who(query), options.option_name(query.text("name")), None)


def _option(name: str) -> options.Option:
    return options.find(name) or options.Option(name, "str", "unknown", runtime=False)


def _where(query: Query, who: str) -> dict[str, tuple[str, str]]:
    """By option: the section that says so, and the value."""
    found = {}
    for section in settings.sections(who):
        for name, value in query.state.config.get(section, {}).items():
            found[name] = (section, value)
    return dict(sorted(found.items()))


def _get(query: Query) -> Answer:
    who, key = query.text("who"), query.text("key")
    if key:
        name = options.option_name(key)
        value = options.value_of(query.state.config, name, who)
        if value is None:
            if options.find(name) is None:
                raise Failure(errno.ENOENT, f"unrecognized key '{key}'")
            value = ""
        return Answer(value.encode() + b"\n")
    found = _where(query, who)
    shown = {
        name: {
            "value": value,
            "section": section,
            "mask": {},
            "can_update_at_runtime": _option(name).runtime,
        }
        for name, (section, value) in found.items()
    }
    rows = [_row(section, name, value) for name, (section, value) in found.items()]
    return query.show(shown, _table(rows))


def _row(section: str, name: str, value: str, indent: int = 0) -> tuple[str, ...]:
    one = _option(name)
    return (" " * indent + section, "", one.level, name, value, "" if one.runtime else "*")


def _table(rows: list[tuple[str, ...]]) -> str:
    return table("WHO|MASK|LEVEL|OPTION|VALUE|RO", rows, "WHO|MASK|LEVEL|OPTION|VALUE|RO")


def _dump(query: Query) -> Answer:
    found = [
        (section, name, value)
        for section, options_of in sorted(query.state.config.items(), key=_depth)
        for name, value in sorted(options_of.items())
    ]
    shown = [
        {
            "section": section,
            "name": name,
            "value": value,
            "level": _option(name).level,
            "can_update_at_runtime": _option(name).runtime,
            "mask": "",
        }
        for section, name, value in found
    ]
    rows = [_row(section, name, value, _indent(section)) for section, name, value in found]
    return query.show(shown, _table(rows))


def _depth(item: tuple[str, object]) -> tuple[bool, str]:
    return item[0] != "global", item[0]


def _indent(section: str) -> int:
    return 0 if section == "global" else 2 + 2 * section.count(".")


def _show(query: Query) -> Answer:
    """What holds for a daemon: what it declares, what is set for it, what it was told."""
    who, key = query.text("who"), query.text("key")
    known = options.all_values(query.state.config, who)
    layers = {
        "mon": settings.effective(query.state.config, who),
        "override": _told(query, who),
    }
    found = dict(sorted((known | layers["override"]).items()))
    if key:
        name = options.option_name(key)
        if name not in found:
            raise Failure(errno.ENOENT, "")
        return Answer(f"{found[name]}\n".encode())
    everything = query.text("prefix") == "config show-with-defaults"
    rows: list[dict[str, Any]] = []
    for name in found:
        default = options.default_of(name)
        said = {"default": default} if default is not None else {}
        said |= {source: layer[name] for source, layer in layers.items() if name in layer}
        if everything or said.keys() - {"default"}:
            rows.append(_layered(name, said))
    return query.show(rows, _rows_text(rows))


def _told(query: Query, who: str) -> dict[str, str]:
    """What an OSD reports that it goes by, beside the central configuration."""
    kind, _, number = who.partition(".")
    if kind != "osd" or not number.isdigit():
        return {}
    report = query.statistics.osds.get(int(number))
    if report is None:
        raise Failure(errno.ENOENT, f"no config state for daemon {who}")
    return report.told


def _layered(name: str, said: dict[str, str]) -> dict[str, Any]:
    """`said`: the value by who says so, the weakest first."""
    *weaker, source = said
    row: dict[str, Any] = {"name": name, "value": said[source], "source": source}
    if weaker:
        row["overrides"] = [{"source": one, "value": said[one]} for one in weaker]
    return row


def _rows_text(rows: list[dict[str, Any]]) -> str:
    cells = []
    for row in rows:
        weaker = []
        for one in reversed(row.get("overrides", [])):
            text = f"{one['source']}[{one['value']}]"
            weaker.append(f"({text})" if one["value"] == row["value"] else text)
        cells.append((row["name"], row["value"], row["source"], ",".join(weaker), ""))
    return table("NAME|VALUE|SOURCE|OVERRIDES|IGNORES", cells, "NAME|VALUE|SOURCE|OVERRIDES")


def _log(query: Query) -> Answer:
    count = int(query.arguments.get("num", 10))
    found = list(enumerate(query.state.config_log, 1))[::-1][:count]
    shown = [
        {
            "version": number,
            "timestamp": printing.stamp(step.stamp),
            "name": step.text,
            "changes": [_step(*change) for change in step.changes],
        }
        for number, step in found
    ]
    lines = []
    for number, step in found:
        lines.append(f"--- {number} --- {printing.stamp(step.stamp)} ---{step.text}\n")
        for name, before, after in step.changes:
            lines += [f"- {name} = {before}\n"] if before is not None else []
            lines += [f"+ {name} = {after}\n"] if after is not None else []
    return query.show(shown, "".join(lines))


def _step(name: str, before: str | None, after: str | None) -> dict[str, str]:
    found = {"name": name}
    if before is not None:
        found["previous_value"] = before
    if after is not None:
        found["new_value"] = after
    return found


def _help(query: Query) -> Answer:
    found = options.explain(options.option_name(query.text("key")))
    if found is None:
        raise Failure(errno.ENOENT, "")
    runtime = str(found["can_update_at_runtime"]).lower()
    text = (
        f"{found['name']} - {found['desc']}\n  ({found['type']}, {found['level']})\n"
        f"  Default: {found['default']}\n  Can update at runtime: {runtime}\n"
    )
    return query.show(found, text)


def _ls(query: Query) -> Answer:
    names = sorted(options.all_options())
    return query.show(names, "".join(f"{name}\n" for name in names))


def _minimal(query: Query) -> Answer:
    map_ = query.state.monmap
    hosts = " ".join(
        f"[{format_many(map_.monitors[name].addresses).strip('[]')}]" for name in map_.ranks
    )
    return Answer(
        f"# minimal ceph.conf for {map_.fsid}\n[global]\n\tfsid = {map_.fsid}\n"
        f"\tmon_host = {hosts}\n".encode()
    )


def _key_get(query: Query) -> Answer:
    key = query.text("key")
    value = query.state.config_keys.get(key)
    if value is None:
        raise Failure(errno.ENOENT, "")
    return Answer(value)


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
        return Answer(status="key deleted")
    keys = {name: value for name, value in query.state.config_keys.items() if name != key}
    return Answer(status="key deleted", change=Change(config_keys=keys))


def _key_ls(query: Query) -> Answer:
    return query.show(sorted(query.state.config_keys))


def _key_dump(query: Query) -> Answer:
    start = query.text("key")
    found = {
        key: _text(value)
        for key, value in sorted(query.state.config_keys.items())
        if key.startswith(start)
    }
    return query.show(found)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"<<< binary blob of length {len(value)} >>>"


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
    Command(
        f"config show {_WHO} name=key,type=CephString,req=false",
        "what a daemon goes by",
        "mgr",
        "r",
        _show,
    ),
    Command(
        f"config show-with-defaults {_WHO}",
        "the same, with what nobody has set",
        "mgr",
        "r",
        _show,
    ),
    Command("config log name=num,type=CephInt,req=false", "the last changes", "config", "r", _log),
    Command(f"config help {_KEY}", "what an option is", "config", "r", _help),
    Command("config ls", "the options there are", "config", "r", _ls),
    Command(
        "config generate-minimal-conf",
        "a ceph.conf that finds this cluster",
        "config",
        "r",
        _minimal,
    ),
    Command(
        "config-key dump name=key,type=CephString,req=false",
        "keys with their values",
        "config-key",
        "r",
        _key_dump,
    ),
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
