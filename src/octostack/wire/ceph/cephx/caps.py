# SPDX-License-Identifier: Apache-2.0
"""What an entity may do: the text of its capabilities, read once, asked often.

    mon   allow r, allow service osd rw, allow command "osd out" with ids=3, profile rbd, allow *
    mgr   allow service pg r, allow module balancer rw, allow command "pg dump", profile crash
    osd   allow rwx pool=images namespace=a* object_prefix rbd_, allow rw tag cephfs data=home,
          allow class-read, profile rbd pool=vms network 10.0.0.0/8

A text that we cannot read allows nothing, as with the real ones.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from octostack.base.errors import Invalid

R: Final = 1
W: Final = 2
CLASS_READ: Final = 4
CLASS_WRITE: Final = 8
X: Final = CLASS_READ | CLASS_WRITE
ANY: Final = 16 | R | W | X

_TOKEN = re.compile(r'\s*(?:"([^"]*)"|\'([^\']*)\'|([=,;])|([^\s=,;"\']+))')
_LETTERS: Final = {"r": R, "w": W, "x": X}
_WORDS: Final = {"*": ANY, "all": ANY, "class-read": CLASS_READ, "class-write": CLASS_WRITE}


class Rule(msgspec.Struct, frozen=True):
    """One ``allow`` or ``profile``; a field left empty matches everything."""

    allow: int = 0
    profile: str = ""
    service: str = ""  # mon, mgr: the part of it
    module: str = ""  # mgr: a part that Ceph has as a plug-in
    command: str = ""
    arguments: dict[str, tuple[str, str]] = {}  # name -> (``=``, ``prefix`` or ``regex``, value)
    pool: str = ""
    namespace: str | None = None
    object_prefix: str = ""
    tag: tuple[str, str, str] | None = None  # application, key, value
    class_name: str = ""
    method: str = ""
    network: str = ""


Rules = tuple[Rule, ...]


class _Words:
    """The tokens of one text."""

    def __init__(self, text: str) -> None:
        self._left: list[str] = []
        at = 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                raise Invalid(f"Not capabilities: {text}", code="ceph.caps")
            self._left.append(next(g for g in match.groups() if g is not None))
            at = match.end()
        self._left.reverse()

    @property
    def is_over(self) -> bool:
        return not self._left or self._left[-1] in {",", ";"}

    @property
    def next(self) -> str:
        return "" if self.is_over else self._left[-1]

    @property
    def after_next(self) -> str:
        """The one behind that; what begins the next rule is none."""
        return "" if self.is_over or len(self._left) < 2 else self._left[-2]

    def take(self) -> str:
        """The next word of this rule. Raises Invalid at its end."""
        if self.is_over:
            raise Invalid("Capabilities end too early.", code="ceph.caps")
        return self._left.pop()

    def value(self) -> str:
        """What follows a name, with or without ``=``."""
        if self.next == "=":
            self.take()
        return self.take()

    def more_rules(self) -> bool:
        """Pass over the separators."""
        while self._left and self._left[-1] in {",", ";"}:
            self._left.pop()
        return bool(self._left)


def parse(text: str) -> Rules:
    """All rules of a text. Raises Invalid."""
    words = _Words(text)
    rules = []
    while words.more_rules():
        rules.append(_rule(words))
    return tuple(rules)


def read(text: str) -> Rules:
    """The same, where a text that is none allows nothing."""
    try:
        return parse(text)
    except Invalid:
        return ()


def _rule(words: _Words) -> Rule:
    first = words.take()
    if first == "profile":
        return _matches(words, {"profile": words.value()})
    if first != "allow":
        raise Invalid(f"A rule begins with allow or profile, not {first}.", code="ceph.caps")
    return _matches(words, {"allow": 0})


def _matches(words: _Words, fields: dict[str, object]) -> Rule:
    while not words.is_over:
        word = words.take()
        taker = _TAKERS.get(word)
        if taker is not None:
            taker(words, fields)
        else:
            bits = fields.get("allow", 0)
            assert isinstance(bits, int)
            fields["allow"] = bits | _bits(word)
    found = msgspec.convert(fields, Rule)
    if not found.allow and not found.profile and not found.command and not found.class_name:
        raise Invalid("A rule allows nothing.", code="ceph.caps")
    return found


def _bits(word: str) -> int:
    if word in _WORDS:
        return _WORDS[word]
    if word and all(letter in _LETTERS for letter in word):
        found = 0
        for letter in word:
            found |= _LETTERS[letter]
        return found
    raise Invalid(f"Not a word of capabilities: {word}", code="ceph.caps")


def _field(name: str) -> Callable[[_Words, dict[str, object]], None]:
    def take(words: _Words, fields: dict[str, object]) -> None:
        fields[name] = words.value()

    return take


def _tag(words: _Words, fields: dict[str, object]) -> None:
    application, key, value = words.take(), "", ""
    if words.next not in {"", *_TAKERS} and not _is_bits(words.next):
        key = words.take()
        value = words.value()
    fields["tag"] = (application, key, value)


def _is_bits(word: str) -> bool:
    return word in _WORDS or all(letter in _LETTERS for letter in word)


def _class(words: _Words, fields: dict[str, object]) -> None:
    fields["class_name"] = words.take()
    if words.next and words.next not in _TAKERS:
        fields["method"] = words.take()


def _with(words: _Words, fields: dict[str, object]) -> None:
    arguments: dict[str, tuple[str, str]] = {}
    while words.after_next in {"=", "prefix", "regex"}:
        name, relation = words.take(), words.take()
        arguments[name] = (relation, words.take())
    fields["arguments"] = arguments


_TAKERS: dict[str, Callable[[_Words, dict[str, object]], None]] = {
    "pool": _field("pool"),
    "namespace": _field("namespace"),
    "object_prefix": _field("object_prefix"),
    "network": _field("network"),
    "service": _field("service"),
    "module": _field("module"),
    "command": _field("command"),
    "profile": _field("profile"),
    "tag": _tag,
    "class": _class,
    "with": _with,
}


# Questions


class Target(msgspec.Struct, frozen=True):
    """What an operation on an OSD is about; `applications` are the tags of the pool."""

    pool: str
    namespace: str = ""
    name: str = ""
    applications: Mapping[str, Mapping[str, str]] = {}
    classes: tuple[tuple[str, str, int], ...] = ()  # class, method, bits that it needs


def osd_allows(rules: Rules, need: int, target: Target, host: str = "") -> bool:
    """Whether some rules together allow `need` and each class method of the operation."""
    allowed = 0
    wanted = set(target.classes)
    for rule in _expanded(rules, _OSD_PROFILES):
        if not _is_from(rule, host) or not _is_about(rule, target):
            continue
        if rule.class_name:
            wanted = {
                one
                for one in wanted
                if not (one[0] == rule.class_name and rule.method in {"", one[1]})
            }
        else:
            allowed |= rule.allow
    return not need & ~allowed and all(not one[2] & ~allowed for one in wanted)


class Question(msgspec.Struct, frozen=True):
    """What somebody wants of a monitor or a manager: bits of a part of it, or a command."""

    service: str
    need: int
    command: str = ""
    arguments: Mapping[str, str] = {}
    module: str = ""


def mon_allows(rules: Rules, asked: Question, host: str = "") -> bool:
    """Whether some rules together allow it."""
    allowed = 0
    for rule in _expanded(rules, _MON_PROFILES):
        if not _is_from(rule, host):
            continue
        if rule.command:
            if asked.command and _is_command(rule, asked):
                return True
        elif rule.service in {"", asked.service}:
            allowed |= rule.allow
    return not asked.need & ~allowed


def mgr_allows(rules: Rules, asked: Question, host: str = "") -> bool:
    """Whether some rules together allow it."""
    allowed = 0
    for rule in _expanded(rules, _MGR_PROFILES):
        if not _is_from(rule, host):
            continue
        if rule.command:
            if asked.command and _is_command(rule, asked):
                return True
        elif rule.module:
            allowed |= rule.allow if rule.module == asked.module else 0
        elif rule.service in {"", asked.service}:
            allowed |= rule.allow
    return not asked.need & ~allowed


def _is_from(rule: Rule, host: str) -> bool:
    if not rule.network:
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(rule.network, strict=False)
    except ValueError:
        return False


def _is_about(rule: Rule, target: Target) -> bool:
    if rule.pool and rule.pool != target.pool:
        return False
    if rule.namespace is not None and not _globs(rule.namespace, target.namespace):
        return False
    if rule.object_prefix and not target.name.startswith(rule.object_prefix):
        return False
    if rule.tag is None:
        return True
    application, key, value = rule.tag
    if application == "*":
        return bool(target.applications)
    tags = target.applications.get(application)
    if tags is None:
        return False
    return not key or any(
        key in {"*", name} and value in {"*", found} for name, found in tags.items()
    )


def _globs(pattern: str, text: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def _is_command(rule: Rule, asked: Question) -> bool:
    if rule.command != asked.command:
        return False
    for name, (relation, value) in rule.arguments.items():
        found = str(asked.arguments.get(name, ""))
        if relation == "=" and found != value:
            return False
        if relation == "prefix" and not found.startswith(value):
            return False
        if relation == "regex" and not re.fullmatch(value, found):
            return False
    return True


# Profiles

_replace = msgspec.structs.replace


def _expanded(rules: Rules, profiles: Mapping[str, Callable[[Rule], Rules]]) -> Iterable[Rule]:
    for rule in rules:
        if not rule.profile:
            yield rule
        elif rule.profile in profiles:
            yield from profiles[rule.profile](rule)


def _scoped(rule: Rule, allow: int) -> Rule:
    return _replace(rule, profile="", allow=allow)


def _named(rule: Rule, prefix: str, allow: int) -> Rule:
    return Rule(allow, object_prefix=prefix, network=rule.network)


def _rbd(rule: Rule) -> Rules:
    return (
        _named(rule, "rbd_info", R),
        _named(rule, "rbd_children", CLASS_READ),
        _named(rule, "rbd_mirroring", CLASS_READ),
        Rule(pool=rule.pool, class_name="rbd", method="metadata_list", network=rule.network),
        _scoped(rule, R | W | X),
    )


def _rbd_read_only(rule: Rule) -> Rules:
    child = (
        Rule(pool=rule.pool, object_prefix="rbd_header.", class_name="rbd", method=method)
        for method in ("child_attach", "child_detach")
    )
    return (_named(rule, "rbd_info", R), *child, _scoped(rule, R | CLASS_READ))


_OSD_PROFILES: dict[str, Callable[[Rule], Rules]] = {
    "rbd": _rbd,
    "rbd-read-only": _rbd_read_only,
    "rbd-mirror": lambda rule: (_scoped(rule, R | W | X),),
    "rbd-mirror-peer": lambda rule: (_scoped(rule, R | CLASS_READ),),
    "crash": lambda _: (),
}


def _services(rule: Rule, **allow: int) -> Rules:
    return tuple(
        Rule(bits, service=name.replace("_", "-"), network=rule.network)
        for name, bits in allow.items()
    )


def _reads(rule: Rule) -> Rules:
    return _services(rule, mon=R, osd=R, pg=R)


def _mon_rbd(rule: Rule) -> Rules:
    return (
        *_services(rule, mon=R, osd=R, pg=R),
        Rule(command="osd blocklist", arguments={"blocklistop": ("=", "add")}),
        Rule(command="osd blacklist", arguments={"blacklistop": ("=", "add")}),
        Rule(command="config-key get", arguments={"key": ("prefix", "rbd/")}),
    )


_MON_PROFILES: dict[str, Callable[[Rule], Rules]] = {
    "mon": lambda rule: (_scoped(rule, ANY),),
    "osd": lambda rule: (
        *_services(rule, osd=ANY, mon=R, pg=R | W, log=W, config=R, auth=R),
        *(
            Rule(command=f"osd crush {word}")
            for word in ("set-device-class", "create-or-move", "set")
        ),
    ),
    "mds": lambda rule: _services(rule, mds=ANY, mon=R, osd=R, log=W),
    "mgr": lambda rule: _services(
        rule, mgr=ANY, log=R | W, mon=R | W, mds=R | W, osd=R | W, fs=R | W, config_key=R | W
    ),
    "rbd": _mon_rbd,
    "rbd-read-only": _reads,
    "rbd-mirror": _mon_rbd,
    "simple-rados-client": _reads,
    "simple-rados-client-with-blocklist": _mon_rbd,
    "role-definer": lambda rule: _services(rule, mon=R, auth=ANY),
    "crash": lambda _: (Rule(command="crash post"),),
    "bootstrap-osd": lambda rule: (
        *_services(rule, mon=R, osd=R),
        Rule(command="osd new"),
        Rule(command="osd purge-new"),
    ),
}

_MGR_PROFILES: dict[str, Callable[[Rule], Rules]] = {
    "read-only": lambda rule: (Rule(R, network=rule.network),),
    "read-write": lambda rule: (Rule(R | W, network=rule.network),),
    "crash": lambda _: (Rule(command="crash post"),),
    "rbd": lambda rule: (Rule(R | W, module="rbd_support", network=rule.network),),
    "rbd-read-only": lambda rule: (Rule(R, module="rbd_support", network=rule.network),),
}
