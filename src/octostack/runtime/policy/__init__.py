# SPDX-License-Identifier: Apache-2.0
"""Who may do what: named rules in oslo.policy's language, compiled once, decided in microseconds.

A service declares `Rule`s; an operator overrides any of them in a ``policy.yaml`` (or JSON) file as
for every OpenStack service. Names that nobody declared, rules that refer to none, and circles are
errors when the policy is made: a rule that silently refuses for ever is worse than no start.
"""

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import msgspec

from octostack.base.errors import Forbidden, Invalid
from octostack.contracts.identity import Caller
from octostack.runtime.policy import defaults, language
from octostack.runtime.policy.rule import Rule

__all__ = ["Policy", "Rule", "defaults"]


class Policy:
    """The rules of one service, ready to decide."""

    def __init__(self, rules: Iterable[Rule], overrides: Path | None = None) -> None:
        """Compile `rules`, the shared `defaults.RULES` and the file at `overrides`.

        A missing file overrides nothing. Raises Invalid with code policy.syntax, policy.unknown,
        policy.duplicate or policy.cycle.
        """
        self.rules = _by_name(rules)
        texts: dict[str, str | list[Any]] = {name: rule.check for name, rule in self.rules.items()}
        texts |= _read(overrides) if overrides else {}
        self._checks = _compile(texts, frozenset(self.rules))

    def check(self, name: str, target: Mapping[str, Any], caller: Caller) -> bool:
        """True if rule `name` lets `caller` act on `target`. Raises KeyError for a name unknown."""
        return self._checks[name](target, caller)

    def enforce(self, name: str, target: Mapping[str, Any], caller: Caller) -> None:
        """Raise Forbidden unless rule `name` lets `caller` act on `target`."""
        if not self._checks[name](target, caller):
            raise Forbidden(
                f"Policy doesn't allow {name} to be performed.", code="policy.forbidden", rule=name
            )


def _by_name(rules: Iterable[Rule]) -> dict[str, Rule]:
    named: dict[str, Rule] = {}
    for rule in rules:
        if rule.name in named:
            raise Invalid(f"rule {rule.name} is declared twice", code="policy.duplicate")
        named[rule.name] = rule
    shared = {rule.name: rule for rule in defaults.RULES}
    return shared | named


def _read(path: Path) -> dict[str, str | list[Any]]:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return {}
    decode = msgspec.json.decode if path.suffix == ".json" else msgspec.yaml.decode
    try:
        read = decode(raw, type=dict[str, str | list[str | list[str]]] | None)
    except msgspec.DecodeError as e:
        raise Invalid(f"{path}: {e}", code="policy.syntax") from e
    return dict(read or {})


def _compile(
    texts: Mapping[str, str | list[Any]], known: frozenset[str]
) -> dict[str, language.Check]:
    nodes: dict[str, language.Node] = {}
    for name, text in texts.items():
        try:
            nodes[name] = language.parse(text)
        except Invalid as e:
            raise Invalid(f"{name}: {e.message}", code=e.code) from e
    _refuse_unknown(nodes, known)
    checks: dict[str, language.Check] = {}
    for name in _in_order(nodes):
        checks[name] = language.compile_node(nodes[name], checks)
    return checks


def _refuse_unknown(nodes: Mapping[str, language.Node], known: frozenset[str]) -> None:
    used = {name: language.references(node) for name, node in nodes.items()}
    for name, targets in used.items():
        for target in sorted(targets - nodes.keys()):
            raise Invalid(f"{name} refers to the unknown rule {target}", code="policy.unknown")
    # An operator's own rule is fine as a part of another; alone it is a misspelt name.
    helpers: set[str] = set().union(*used.values())
    for name in sorted(nodes.keys() - known - helpers):
        raise Invalid(f"{name} is not a rule of this service", code="policy.unknown")


def _in_order(nodes: Mapping[str, language.Node]) -> list[str]:
    graph = {name: language.references(node) for name, node in nodes.items()}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as e:
        circle = " -> ".join(reversed(e.args[1]))
        raise Invalid(
            f"rules refer to each other in a circle: {circle}", code="policy.cycle"
        ) from e
