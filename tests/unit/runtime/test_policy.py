# SPDX-License-Identifier: Apache-2.0
"""The policy language against oslo.policy itself, and what an override file may hold."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oslo_config import cfg
from oslo_policy import policy as oslo

from octostack.base.errors import Forbidden, Invalid
from octostack.contracts.identity import Caller
from octostack.runtime.policy import Policy, Rule, defaults, language

CALLERS = [
    Caller(user_id="u1", project_id="p1", roles=("reader", "member")),
    Caller(user_id="u1", project_id="p2", roles=("Admin", "reader"), project_domain_id="d1"),
    Caller(user_id="u2", domain_id="d1", domain_name="One", roles=("manager",)),
    Caller(user_id="u3", system=True, roles=("admin", "reader"), user_domain_id="d2"),
    Caller(user_id="u4", roles=(), service_roles=("service", "audit")),
]
TARGETS: list[dict[str, Any]] = [
    {},
    {"project_id": "p1", "user_id": "u1"},
    {"project_id": None, "user_id": "u2", "domain_id": "d1"},
    {"target.user.id": "u3", "role": "MEMBER", "project_id": "p2"},
    {"shared": True, "n": 5, "name": "x", "target.domain_id": "d1"},
]
RULES = {"r_admin": "role:admin", "r_owner": "user_id:%(user_id)s or role:admin", "r_any": ""}

leaves = st.sampled_from(
    [
        "@",
        "!",
        "role:admin",
        "role:ADMIN",
        "role:member",
        "role:%(role)s",
        "rule:r_admin",
        "rule:r_owner",
        "rule:r_any",
        "project_id:%(project_id)s",
        "user_id:%(user_id)s",
        "user_id:%(target.user.id)s",
        "domain_id:%(target.domain_id)s",
        "token.project.domain.id:d1",
        "token.project.domain.id:%(domain_id)s",
        "token.roles.name:member",
        "service_roles:service",
        "is_admin:True",
        "is_admin:1",
        "system_scope:all",
        "system:all",
        "'x':%(name)s",
        "True:%(shared)s",
        "None:%(project_id)s",
        "5:%(n)s",
        "project_id:p%(n)s",
        "user_id:u1",
        "unknown.path:x",
    ]
)
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" and ", " or ", " AND ", "  or  "]), inner).map("".join),
        inner.map(lambda text: f"({text})"),
        # "not" of a bare chain binds to its first check in both readings only when parenthesised.
        inner.map(lambda text: f"not ({text})"),
    ),
    max_leaves=8,
)
old_form = st.lists(st.one_of(leaves, st.lists(leaves, max_size=3)), max_size=4)


def oracle(check: Any, target: dict[str, Any], caller: Caller) -> bool:
    enforcer = oslo.Enforcer(cfg.ConfigOpts(), use_conf=False)
    enforcer.set_rules(oslo.Rules.from_dict(RULES | {"it": check}))
    return bool(enforcer.enforce("it", target, language.credentials(caller)))


def ours(check: Any) -> Policy:
    rules = [Rule(name, text, "") for name, text in RULES.items()]
    return Policy([*rules, Rule("it", check, "")])


@given(check=st.one_of(expressions, old_form), data=st.data())
def test_agrees_with_oslo_policy(check: Any, data: st.DataObject) -> None:
    policy = ours(check)
    for caller in CALLERS:
        target = data.draw(st.sampled_from(TARGETS))
        assert policy.check("it", target, caller) == oracle(check, target, caller)


@pytest.mark.parametrize(
    "check",
    ["a b", "()", "role:a and", "or role:a", "(role:a", "role:a)", "nonsense", "not", "'x'", "and"],
)
def test_what_oslo_refuses_for_ever_is_an_error_here(
    check: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    assert not oracle(check, {}, CALLERS[1])
    with pytest.raises(Invalid) as caught:
        ours(check)
    assert caught.value.code == "policy.syntax"


def test_precedence() -> None:
    policy = ours("role:member or role:nobody and role:nobody")
    assert policy.check("it", {}, CALLERS[0])


def test_nested_target() -> None:
    policy = ours("user_id:%(target.user.id)s")
    assert policy.check("it", {"target": {"user": {"id": "u1"}}}, CALLERS[0])
    assert not policy.check("it", {"target": {"user": "u1"}}, CALLERS[0])


@pytest.mark.parametrize(
    ("check", "target", "allowed"),
    [
        ("field:networks:shared=True", {"shared": True}, True),
        ("field:networks:shared=True", {"shared": False}, False),
        ("field:networks:shared=True", {}, False),
        ("field:port:device_owner=~^network:", {"device_owner": "network:dhcp"}, True),
        ("field:port:device_owner=~^network:", {"device_owner": "compute:nova"}, False),
        ("field:networks:router:external=True", {"router:external": True}, True),
    ],
)
def test_attributes_as_neutrons_rules_name_them(
    check: str, target: dict[str, Any], allowed: bool
) -> None:
    policy = Policy([Rule("r", check, "")])
    assert policy.check("r", target, CALLERS[0]) is allowed


def test_a_field_check_without_a_value_is_an_error() -> None:
    with pytest.raises(Invalid, match="ATTRIBUTE=VALUE"):
        Policy([Rule("r", "field:networks:shared", "")])


def test_shared_rules_hold_for_each_persona() -> None:
    policy = Policy([])
    reader = Caller(user_id="u", project_id="p", roles=("reader",))
    assert policy.check("project_reader_or_admin", {"project_id": "p"}, reader)
    assert not policy.check("project_reader_or_admin", {"project_id": "q"}, reader)
    assert not policy.check("project_member_or_admin", {"project_id": "p"}, reader)
    admin = Caller(user_id="u", project_id="q", roles=("admin",))
    assert policy.check("project_member_or_admin", {"project_id": "p"}, admin)
    for name in vars(defaults):
        if name.isupper() and isinstance(text := getattr(defaults, name), str):
            Policy([Rule("it", text, "")])


@pytest.mark.parametrize("name", ["policy.yaml", "policy.json"])
def test_overrides(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(json.dumps({"it": "rule:mine", "mine": [["role:member"], ["role:ops"]]}))
    policy = Policy([Rule("it", "!", "")], path)
    assert policy.check("it", {}, CALLERS[0])
    with pytest.raises(Forbidden) as caught:
        policy.enforce("it", {}, CALLERS[2])
    assert caught.value.details == {"rule": "it"}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("it: role:a and", "policy.syntax"),
        ("it: [1, 2]", "policy.syntax"),
        ("- it", "policy.syntax"),
        ("it: 'x", "policy.syntax"),
        ("wrong_name: '@'", "policy.unknown"),
        ("it: rule:nobody", "policy.unknown"),
        ("it: rule:a\na: rule:b\nb: rule:it", "policy.cycle"),
        ("it: rule:it", "policy.cycle"),
    ],
)
def test_wrong_overrides_stop_the_start(tmp_path: Path, content: str, code: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(content)
    with pytest.raises(Invalid) as caught:
        Policy([Rule("it", "@", "")], path)
    assert caught.value.code == code


def test_no_and_empty_override_files(tmp_path: Path) -> None:
    assert Policy([Rule("it", "@", "")], tmp_path / "none.yaml").check("it", {}, CALLERS[0])
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert Policy([Rule("it", "@", "")], tmp_path / "empty.yaml").check("it", {}, CALLERS[0])


def test_one_name_twice_is_an_error() -> None:
    with pytest.raises(Invalid):
        Policy([Rule("it", "@", ""), Rule("it", "!", "")])
