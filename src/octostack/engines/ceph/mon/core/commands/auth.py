# SPDX-License-Identifier: Apache-2.0
"""Commands about entities, their keys and capabilities."""

import errno
from typing import Any, Final

import msgspec

from octostack.base.errors import Invalid
from octostack.engines.ceph.mon.core.answers import Answer, Failure, formatted
from octostack.engines.ceph.mon.core.auth import Entity
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.state import Change
from octostack.wire.ceph.cephx import caps as capabilities
from octostack.wire.ceph.cephx import keyring
from octostack.wire.ceph.cephx.boxes import parse_key
from octostack.wire.ceph.cephx.tickets import split_entity
from octostack.wire.ceph.codec import Malformed

_SERVICES: Final = frozenset({"mon", "osd", "mds", "mgr"})


def _entry(entity: Entity) -> keyring.Entry:
    return keyring.Entry(parse_key(entity.key), entity.caps)


def _view(name: str, entity: Entity) -> dict[str, Any]:
    return {"entity": name, "key": entity.key, "caps": entity.caps}


def _get(query: Query) -> tuple[str, Entity]:
    name = query.text("entity")
    found = query.state.auth.entities.get(name)
    if found is None:
        raise Failure(errno.ENOENT, f"failed to find {name} in keyring")
    return name, found


def _exported(query: Query, named: dict[str, Entity], status: str = "") -> Answer:
    text = keyring.format({name: _entry(entity) for name, entity in named.items()})
    view = [_view(name, entity) for name, entity in sorted(named.items())]
    return Answer(formatted(view, query.style, text), status)


def _show(query: Query) -> Answer:
    name, entity = _get(query)
    return _exported(query, {name: entity}, f"exported keyring for {name}")


def _export(query: Query) -> Answer:
    if query.text("entity"):
        name, entity = _get(query)
        return _exported(query, {name: entity}, f"export auth(key={entity.key})")
    return _exported(query, query.state.auth.entities, "exported master keyring")


def _print_key(query: Query) -> Answer:
    _, entity = _get(query)
    return query.show({"key": entity.key}, entity.key)


def _list(query: Query) -> Answer:
    entities = query.state.auth.entities
    lines = []
    for name, entity in sorted(entities.items()):
        lines += [name, f"\tkey: {entity.key}"]
        lines += [f"\tcaps: [{service}] {text}" for service, text in sorted(entity.caps.items())]
    view = {"auth_dump": [_view(name, entity) for name, entity in sorted(entities.items())]}
    answer = query.show(view, "\n".join(lines) + "\n")
    return answer.saying("installed auth entries:\n" if query.style == "plain" else "")


def _caps_of(query: Query) -> dict[str, str]:
    """``["mon", "allow r", ...]`` as pairs, each text checked."""
    words = [str(word) for word in query.arguments.get("caps", [])]
    if len(words) % 2:
        raise Failure(errno.EINVAL, f"bad capabilities request; number of caps {len(words)}")
    found = dict(zip(words[::2], words[1::2], strict=True))
    for service, text in found.items():
        if service not in _SERVICES:
            raise Failure(errno.EINVAL, f"unknown cap type '{service}'")
        if service == "mds":
            continue
        try:
            capabilities.parse(text)
        except Invalid:
            raise Failure(errno.EINVAL, f"{service} capability parse failed: {text}") from None
    return found


def _with(query: Query, name: str, entity: Entity | None) -> Change:
    auth = query.state.auth
    entities = {key: value for key, value in auth.entities.items() if key != name}
    if entity is not None:
        entities[name] = entity
    return Change(auth=msgspec.structs.replace(auth, entities=entities))


def _name(query: Query) -> str:
    name = query.text("entity")
    try:
        split_entity(name)
    except Malformed:
        raise Failure(errno.EINVAL, "bad entity name") from None
    return name


def _made(query: Query) -> tuple[str, Entity, Change | None]:
    """Get or create."""
    name, wanted = _name(query), _caps_of(query)
    known = query.state.auth.entities.get(name)
    if known is None:
        made = Entity(str(query.senses.key()), wanted)
        return name, made, _with(query, name, made)
    if wanted and known.caps != wanted:
        service = next(s for s in {*wanted, *known.caps} if wanted.get(s) != known.caps.get(s))
        raise Failure(errno.EINVAL, f"key for {name} exists but cap {service} does not match")
    return name, known, None


def _get_or_create(query: Query) -> Answer:
    name, entity, change = _made(query)
    bare = keyring.format({name: keyring.Entry(parse_key(entity.key))})
    return Answer(formatted([_view(name, entity)], query.style, bare), "", change)


def _get_or_create_key(query: Query) -> Answer:
    _, entity, change = _made(query)
    return Answer(formatted({"key": entity.key}, query.style, entity.key), "", change)


def _add(query: Query) -> Answer:
    name, wanted = _name(query), _caps_of(query)
    known = query.state.auth.entities.get(name)
    key = _given_key(query, name) or str(query.senses.key())
    if known is not None:
        if known.caps == wanted and (not query.data or known.key == key):
            return Answer(status=f"added key for {name}")
        raise Failure(errno.EINVAL, f"entity {name} exists but key does not match")
    return Answer(status=f"added key for {name}", change=_with(query, name, Entity(key, wanted)))


def _given_key(query: Query, name: str) -> str | None:
    if not query.data:
        return None
    entry = _read_keyring(query).get(name)
    return str(entry.key) if entry else None


def _read_keyring(query: Query) -> dict[str, keyring.Entry]:
    try:
        return keyring.parse(query.data.decode())
    except (Invalid, UnicodeDecodeError):
        raise Failure(errno.EINVAL, "error decoding keyring") from None


def _import(query: Query) -> Answer:
    if not query.data:
        raise Failure(errno.EINVAL, "auth import: no data supplied")
    auth = query.state.auth
    entities = dict(auth.entities)
    for name, entry in _read_keyring(query).items():
        entities[name] = Entity(str(entry.key), entry.caps)
    change = Change(auth=msgspec.structs.replace(auth, entities=entities))
    return Answer(status="imported keyring", change=change)


def _set_caps(query: Query) -> Answer:
    name, entity = _get(query)
    made = Entity(entity.key, _caps_of(query))
    return Answer(status=f"updated caps for {name}", change=_with(query, name, made))


def _remove(query: Query) -> Answer:
    name = query.text("entity")
    if name not in query.state.auth.entities:
        return Answer(status=f"entity {name} does not exist")
    return Answer(status="updated", change=_with(query, name, None))


_ENTITY: Final = "name=entity,type=CephString"
_CAPS: Final = "name=caps,type=CephString,n=N,req=false"

TABLE: Final = (
    Command("auth ls", "list authentication state", "auth", "rx", _list),
    Command("auth list", "list authentication state", "auth", "rx", _list),
    Command(f"auth get {_ENTITY}", "write keyring file with requested key", "auth", "rx", _show),
    Command(f"auth get-key {_ENTITY}", "display requested key", "auth", "rx", _print_key),
    Command(f"auth print-key {_ENTITY}", "display requested key", "auth", "rx", _print_key),
    Command(
        f"auth export {_ENTITY},req=false",
        "write keyring for requested entity, or master keyring if none given",
        "auth",
        "rx",
        _export,
    ),
    Command("auth import", "auth import: read keyring file from -i <file>", "auth", "rwx", _import),
    Command(
        f"auth add {_ENTITY} {_CAPS}",
        "add auth info for <entity> from input file, or random key if no input is given",
        "auth",
        "rwx",
        _add,
    ),
    Command(
        f"auth get-or-create {_ENTITY} {_CAPS}",
        "add auth info for <entity>, or return it when it is there",
        "auth",
        "rwx",
        _get_or_create,
    ),
    Command(
        f"auth get-or-create-key {_ENTITY} {_CAPS}",
        "get, or add, key for <name> from system/caps pairs specified in the command",
        "auth",
        "rwx",
        _get_or_create_key,
    ),
    Command(
        f"auth caps {_ENTITY} name=caps,type=CephString,n=N",
        "update caps for <name> from caps specified in the command",
        "auth",
        "rwx",
        _set_caps,
    ),
    Command(f"auth rm {_ENTITY}", "remove all caps for <name>", "auth", "rwx", _remove),
    Command(f"auth del {_ENTITY}", "delete all caps for <name>", "auth", "rwx", _remove),
)
