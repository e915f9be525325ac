# SPDX-License-Identifier: Apache-2.0
"""The rule language of oslo.policy, parsed to a tree and compiled to closures.

    expression := any ("or" any)*          any := check ("and" check)*
    check      := "not" check | "(" expression ")" | "@" | "!" | kind ":" match
    kind       := "rule" | "role" | "field" | a literal ('x', True, 12) | a path into credentials

`match` may hold ``%(name)s``, filled from the target. A target that lacks the name refuses. The old
form, a list (or) of lists (and) of checks, means the same. oslo.policy turns what it cannot parse
into a refusal and a log line; here it is an error when the rules are read, which an operator sees.
"""

import ast
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from octostack.base.errors import Invalid
from octostack.contracts.identity import Caller

Target = Mapping[str, Any]
Check = Callable[[Target, Caller], bool]


class Always(msgspec.Struct, frozen=True):
    """``@`` (value True) or ``!`` (False)."""

    value: bool


class Leaf(msgspec.Struct, frozen=True):
    """One ``kind:match``."""

    kind: str
    match: str


class Not(msgspec.Struct, frozen=True):
    part: "Node"


class And(msgspec.Struct, frozen=True):
    parts: tuple["Node", ...]


class Or(msgspec.Struct, frozen=True):
    parts: tuple["Node", ...]


Node = Always | Leaf | Not | And | Or


def parse(text: str | list[Any]) -> Node:
    """The tree of one rule. Raises Invalid(code="policy.syntax")."""
    if isinstance(text, list):
        return _parse_lists(text)
    if not text:
        return Always(True)
    tokens = _tokens(text)
    node, rest = _parse_or(tokens, 0, text)
    if rest != len(tokens):
        raise _syntax(text)
    return node


def references(node: Node) -> set[str]:
    """The names of all rules that `node` calls by ``rule:``."""
    if isinstance(node, Leaf):
        return {node.match} if node.kind == "rule" else set()
    if isinstance(node, Not):
        return references(node.part)
    if isinstance(node, And | Or):
        return set().union(*(references(part) for part in node.parts))
    return set()


def compile_node(node: Node, rules: Mapping[str, Check]) -> Check:
    """A function that decides `node`; every rule it refers to must be in `rules` already."""
    match node:
        case Always(value):
            return _always if value else _never
        case Not(part):
            inner = compile_node(part, rules)
            return lambda target, caller: not inner(target, caller)
        case And(parts):
            return _join([compile_node(part, rules) for part in parts], all_of=True)
        case Or(parts):
            return _join([compile_node(part, rules) for part in parts], all_of=False)
        case Leaf(kind, match):
            return _compile_leaf(kind, match, rules)


# Parsing


def _syntax(text: object) -> Invalid:
    return Invalid(f"cannot understand the rule {text!r}", code="policy.syntax")


def _tokens(text: str) -> list[str]:
    """Words, with the parentheses around them split off (those in ``%(x)s`` stay inside)."""
    tokens: list[str] = []
    for word in text.split():
        bare = word.lstrip("(")
        tokens += ["("] * (len(word) - len(bare))
        core = bare.rstrip(")")
        if core:
            tokens.append(core.lower() if core.lower() in _OPERATORS else core)
        tokens += [")"] * (len(bare) - len(core))
    return tokens


_OPERATORS = ("and", "or", "not")


def _parse_or(tokens: list[str], at: int, text: str) -> tuple[Node, int]:
    node, at = _parse_and(tokens, at, text)
    parts = [node]
    while at < len(tokens) and tokens[at] == "or":
        node, at = _parse_and(tokens, at + 1, text)
        parts.append(node)
    return (parts[0] if len(parts) == 1 else Or(tuple(parts))), at


def _parse_and(tokens: list[str], at: int, text: str) -> tuple[Node, int]:
    node, at = _parse_one(tokens, at, text)
    parts = [node]
    while at < len(tokens) and tokens[at] == "and":
        node, at = _parse_one(tokens, at + 1, text)
        parts.append(node)
    return (parts[0] if len(parts) == 1 else And(tuple(parts))), at


def _parse_one(tokens: list[str], at: int, text: str) -> tuple[Node, int]:
    token = tokens[at] if at < len(tokens) else ""
    if token == "not":
        part, at = _parse_one(tokens, at + 1, text)
        return Not(part), at
    if token == "(":
        node, at = _parse_or(tokens, at + 1, text)
        if at >= len(tokens) or tokens[at] != ")":
            raise _syntax(text)
        return node, at + 1
    return _parse_check(token, text), at + 1


def _parse_check(word: object, text: object) -> Node:
    if word in ("@", "!"):
        return Always(word == "@")
    if not isinstance(word, str) or ":" not in word or word in (*_OPERATORS, ")"):
        raise _syntax(text)
    kind, match = word.split(":", 1)
    return Leaf(kind, match)


def _parse_lists(text: list[Any]) -> Node:
    if not text:
        return Always(True)
    parts: list[Node] = []
    for inner in text:
        words = [inner] if isinstance(inner, str) else inner
        if not isinstance(words, list):
            raise _syntax(text)
        checks = tuple(_parse_check(word, text) for word in words)
        if checks:
            parts.append(checks[0] if len(checks) == 1 else And(checks))
    if not parts:
        return Always(False)
    return parts[0] if len(parts) == 1 else Or(tuple(parts))


# Compiling


def _always(_target: Target, _caller: Caller) -> bool:
    return True


def _never(_target: Target, _caller: Caller) -> bool:
    return False


def _join(parts: list[Check], *, all_of: bool) -> Check:
    # Two and three parts are nearly all there is; unrolled they cost half of a generator.
    if len(parts) == 2:
        a, b = parts
        if all_of:
            return lambda target, caller: a(target, caller) and b(target, caller)
        return lambda target, caller: a(target, caller) or b(target, caller)
    if len(parts) == 3:
        a, b, c = parts
        if all_of:
            return lambda t, caller: a(t, caller) and b(t, caller) and c(t, caller)
        return lambda t, caller: a(t, caller) or b(t, caller) or c(t, caller)
    several = tuple(parts)
    if all_of:
        return lambda target, caller: all(part(target, caller) for part in several)
    return lambda target, caller: any(part(target, caller) for part in several)


def _compile_leaf(kind: str, match: str, rules: Mapping[str, Check]) -> Check:
    if kind == "rule":
        return rules[match]
    wanted = _compile_match(match)
    if kind == "field":
        return _compile_field(match)
    if kind == "role":
        return _compile_role(match, wanted)
    try:
        literal = str(ast.literal_eval(kind))
    except (ValueError, SyntaxError):
        return _compile_credential(kind, match, wanted)
    return lambda target, _caller: wanted(target) == literal


Match = Callable[[Target], str | None]

_WHOLE = re.compile(r"%\(([^)]+)\)s")
_PART = re.compile(r"%(?:\(([^)]+)\)s|%)")


def _compile_match(match: str) -> Match:
    """The text that `match` stands for with a given target; None where the target lacks a name."""
    whole = _WHOLE.fullmatch(match)
    if whole:
        return _value_of(whole[1])
    if "%" in _PART.sub("", match):
        raise Invalid(f"cannot understand the match {match!r}", code="policy.syntax")
    if not _PART.search(match):
        return lambda _target: match

    names = {found[1]: _value_of(found[1]) for found in _PART.finditer(match) if found[1]}

    def fill(target: Target) -> str | None:
        values = {name: value(target) for name, value in names.items()}
        return None if None in values.values() else match % values

    return fill


def _value_of(name: str) -> Match:
    path = name.split(".")

    def value(target: Target) -> str | None:
        try:
            return str(target[name])
        except KeyError:
            return _walk_target(target, path)

    return value


def _walk_target(target: Target, path: list[str]) -> str | None:
    """``target.user.id`` may also be a mapping in a mapping."""
    here: Any = target
    for key in path:
        if not isinstance(here, Mapping) or key not in here:
            return None
        here = here[key]
    return str(here)


def _compile_field(match: str) -> Check:
    """Neutron's check of an attribute: ``networks:shared=True``, ``port:device_owner=~^network:``.

    The resource's name is for the reader: a rule only ever sees targets of its own kind.
    """
    resource, _, test = match.partition(":")
    name, equals, wanted = test.partition("=")
    if not (resource and name and equals):
        raise Invalid(f"field:{match} is not field:RESOURCE:ATTRIBUTE=VALUE", code="policy.syntax")
    if not wanted.startswith("~"):
        return lambda target, _caller: name in target and str(target[name]) == wanted
    try:
        pattern = re.compile(wanted[1:])
    except re.error as e:
        raise Invalid(f"field:{match}: {e}", code="policy.syntax") from e
    return lambda target, _caller: bool(pattern.match(str(target.get(name, ""))))


def _compile_role(match: str, wanted: Match) -> Check:
    if "%" not in match:
        role = match.lower()

        def has_role(_target: Target, caller: Caller) -> bool:
            roles = caller.roles
            return role in roles or any(role == name.lower() for name in roles)

        return has_role

    def has_named_role(target: Target, caller: Caller) -> bool:
        name = wanted(target)
        return name is not None and name.lower() in [role.lower() for role in caller.roles]

    return has_named_role


def _compile_credential(kind: str, match: str, wanted: Match) -> Check:
    field = _FIELDS.get(kind)
    if field is None:
        path = kind.split(".")

        def in_path(target: Target, caller: Caller) -> bool:
            text = wanted(target)
            return text is not None and _find(credentials(caller), path, text)

        return in_path
    if "%" not in match:
        return lambda _target, caller: str(field(caller)) == match

    def in_field(target: Target, caller: Caller) -> bool:
        return wanted(target) == str(field(caller))

    return in_field


# The one-valued credentials that rules name, straight from the caller; `credentials` has them all.
_FIELDS: dict[str, Callable[[Caller], object]] = {
    "user_id": lambda caller: caller.user_id,
    "project_id": lambda caller: caller.project_id,
    "tenant_id": lambda caller: caller.project_id,
    "domain_id": lambda caller: caller.domain_id,
    "user_domain_id": lambda caller: caller.user_domain_id,
    "project_domain_id": lambda caller: caller.project_domain_id,
    "system_scope": lambda caller: "all" if caller.system else None,
    "is_admin": lambda caller: caller.is_admin,
    "is_admin_project": lambda _caller: True,
}


def credentials(caller: Caller) -> dict[str, Any]:
    """What a rule may name of a caller, in the words that Keystone's middleware passes on."""
    plain: dict[str, Any] = {name: value(caller) for name, value in _FIELDS.items()}
    domain = {"id": caller.user_domain_id}
    token: dict[str, Any] = {
        "user_id": caller.user_id,
        "user": {"id": caller.user_id, "name": caller.user_name, "domain": domain},
        "roles": [{"name": role} for role in caller.roles],
        "audit_ids": list(caller.audit_ids),
        "is_admin_project": True,
    }
    if caller.project_id:
        token["project"] = {
            "id": caller.project_id,
            "name": caller.project_name,
            "domain": {"id": caller.project_domain_id},
        }
    if caller.domain_id:
        token["domain"] = {"id": caller.domain_id, "name": caller.domain_name}
    if caller.system:
        token["system"] = {"all": True}
    return {
        **plain,
        "user": caller.user_id,
        "tenant": caller.project_id,
        "system": "all" if caller.system else None,
        "roles": list(caller.roles),
        "service_user_id": caller.service_user_id,
        "service_roles": list(caller.service_roles),
        "request_id": caller.request_id,
        "token": token,
    }


def _find(value: Any, path: list[str], text: str) -> bool:
    """True where `path` leads to `text`; a list on the way is searched member by member."""
    if not path:
        return str(value) == text
    if not isinstance(value, Mapping) or path[0] not in value:
        return False
    inner = value[path[0]]
    options: Iterable[Any] = inner if isinstance(inner, list) else (inner,)
    return any(_find(option, path[1:], text) for option in options)
