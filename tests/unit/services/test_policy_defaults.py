# SPDX-License-Identifier: Apache-2.0
"""Our rules decide as the real services' defaults do, for every kind of caller and target.

``tests/vectors/policy`` holds the check strings of the real services; each file names its source.
Texts may differ; decisions may not, but for `DIFFERENT`.
"""

import importlib
import json
import re
from pathlib import Path

import pytest

from octostack.contracts.identity import Caller
from octostack.runtime.policy import Policy, Rule
from octostack.testing.identity import IMPLIED

VECTORS = Path(__file__).parents[2] / "vectors" / "policy"
APIS = ("compute", "identity", "image", "network", "placement")
ROLES = ("admin", "manager", "member", "reader", "service", "nothing")
_ATTRIBUTE = re.compile(r"%\(([^)]*)\)s")

# Rule -> why it decides otherwise.
DIFFERENT = {
    **dict.fromkeys(
        (
            "os_compute_api:os-migrate-server:migrate",
            "os_compute_api:os-migrate-server:migrate_live",
            "os_compute_api:os-migrations:index",
            "os_compute_api:servers:migrations:index",
        ),
        "migration is the operator's here, not the project manager's",
    ),
}
# Rules of our own, that the real service does not have under this name.
OWN: dict[str, set[str]] = {}


def _rules(api: str) -> tuple[Rule, ...]:
    rules: tuple[Rule, ...] = importlib.import_module(f"octostack.services.{api}.policy").RULES
    return rules


def _callers() -> list[Caller]:
    scopes = (
        {"project_id": "p1", "user_id": "u1"},
        {"project_id": "p2", "user_id": "u2"},
        {"domain_id": "d1", "user_id": "u3"},
        {"domain_id": "d2", "user_id": "u4"},
        {"system": True, "user_id": "u5"},
    )
    return [
        Caller(roles=tuple(IMPLIED.get(role, (role,))), **scope)
        for role in ROLES
        for scope in scopes
    ]


def _target(names: set[str], *, mine: bool) -> dict[str, str]:
    """A target with every attribute that any rule asks for: of the first caller's, or nobody's."""
    number = "1" if mine else "9"
    target = {}
    for name in names:
        kind = "d" if "domain" in name else "u" if re.search(r"user[._]id", name) else "p"
        about_project = re.search(r"project|tenant|owner|member_id", name)
        target[name] = kind + number if kind != "p" or about_project else "x"
    return target


def _real(api: str) -> dict[str, str]:
    rules: dict[str, str] = json.loads((VECTORS / f"{api}.json").read_text())["rules"]
    return rules


@pytest.mark.parametrize("api", APIS)
def test_decisions(api: str) -> None:
    real_texts, ours = _real(api), Policy(_rules(api))
    real = Policy([Rule(name, check, "") for name, check in real_texts.items()])
    texts = [*real_texts.values(), *(str(rule.check) for rule in ours.rules.values())]
    names = {name for text in texts for name in _ATTRIBUTE.findall(text)}
    callers = _callers()
    wrong = set()
    for name in set(real_texts) & {rule.name for rule in _rules(api)}:
        for mine in (True, False):
            target = _target(names, mine=mine)
            for caller in callers:
                if real.check(name, target, caller) != ours.check(name, target, caller):
                    wrong.add(name)
    assert wrong == {name for name in DIFFERENT if name in real_texts}


@pytest.mark.parametrize("api", APIS)
def test_names_are_the_real_ones(api: str) -> None:
    """An operator's policy file written for the real service has its effect here."""
    named = {rule.name for rule in _rules(api) if rule.operations or ":" in rule.name}
    assert named - set(_real(api)) == OWN.get(api, set())
