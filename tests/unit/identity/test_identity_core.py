# SPDX-License-Identifier: Apache-2.0
"""Which roles take effect where; where a project may grow; what an event cancels."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octostack.base.errors import Forbidden, Invalid, Unauthorized
from octostack.services.identity.core import (
    assignments,
    hierarchy,
    projects,
    revocations,
    roles,
    rules,
)
from octostack.services.identity.model import (
    SYSTEM,
    Assignment,
    Password,
    Payload,
    Project,
    Revocation,
    Role,
    Scope,
    User,
)

ROLES = {name: Role(id=name, name=name) for name in ("admin", "member", "reader")}
ROLES["own"] = Role(id="own", name="own", domain_id="d")
CHAIN = {"admin": frozenset(["member"]), "member": frozenset(["reader"]),
         "own": frozenset(["reader"])}  # fmt: skip
TREE = {
    "d": Project(id="d", name="d", is_domain=True),
    "p": Project(id="p", name="p", domain_id="d", parent_id="d"),
    "q": Project(id="q", name="q", domain_id="d", parent_id="p"),
}
AT_Q = roles.Place(Scope(project_id="q"), ("p", "d"))
AT_P = roles.Place(Scope(project_id="p"), ("d",))
AT_D = roles.Place(Scope(domain_id="d"))
ON_ALL = roles.Place(Scope(system=True))


def given_role(target: str, target_id: str, role: str = "reader", *, inherited: bool = False):
    return Assignment(actor="user", actor_id="u", target=target, target_id=target_id,
                      role_id=role, inherited=inherited)  # fmt: skip


@pytest.mark.parametrize(
    ("assignment", "places"),
    [
        (given_role("project", "p"), [AT_P]),
        (given_role("project", "p", inherited=True), [AT_Q]),
        (given_role("domain", "d"), [AT_D]),
        (given_role("domain", "d", inherited=True), [AT_P, AT_Q]),
        (given_role("system", SYSTEM), [ON_ALL]),
    ],
)
def test_where_an_assignment_counts(assignment: Assignment, places: list[roles.Place]) -> None:
    everywhere = [AT_P, AT_Q, AT_D, ON_ALL]
    assert [place for place in everywhere if roles.applies(assignment, place)] == places


def test_implied_roles_unfold_and_a_domains_own_role_stays_out() -> None:
    held = roles.at(AT_P, [given_role("project", "p", "admin")], CHAIN, ROLES)
    assert [role.name for role in held] == ["admin", "member", "reader"]
    held = roles.at(AT_P, [given_role("project", "p", "own")], CHAIN, ROLES)
    assert [role.name for role in held] == ["reader"]


@given(
    st.dictionaries(
        st.integers(0, 9).map(str),
        st.frozensets(st.integers(0, 9).map(str), max_size=4),
        max_size=10,
    )
)
def test_circles_of_implications_end(chain: dict[str, frozenset[str]]) -> None:
    for role in chain:
        reached = roles.implied_by(role, chain)
        assert role in reached
        assert all(chain.get(one, frozenset()) <= reached for one in reached)


def test_effective_listing_agrees_with_tokens() -> None:
    """Two ways to the same truth: the list of assignments and the roles of a token."""
    made = [
        given_role("domain", "d", "member", inherited=True),
        given_role("project", "p", "own"),
        Assignment(actor="group", actor_id="g", target="project", target_id="q", role_id="admin"),
    ]
    world = assignments.World(members={"g": ["u"]}, projects=TREE, implications=CHAIN, roles=ROLES)
    listed = assignments.choose(made, assignments.Asked(effective=True), world)
    for place in (AT_P, AT_Q):
        here = {
            one.assignment.role_id
            for one in listed
            if one.assignment.target_id == place.scope.project_id
        }
        assert here == {role.id for role in roles.at(place, made, CHAIN, ROLES)}
    assert all(one.assignment.actor == "user" for one in listed)


def test_filters_that_exclude_each_other() -> None:
    for asked in (
        assignments.Asked(user_id="u", group_id="g"),
        assignments.Asked(domain_id="d", project_ids=frozenset("p")),
        assignments.Asked(effective=True, group_id="g"),
        assignments.Asked(effective=True, domain_id="d", inherited=True),
    ):
        with pytest.raises(Invalid):
            assignments.check(asked)


def test_the_tree() -> None:
    below = hierarchy.children(TREE.values())
    assert hierarchy.subtree_ids("d", below) == {"p": {"q": None}}
    assert hierarchy.parent_ids(hierarchy.parents(TREE["q"], TREE)) == {"p": {"d": None}}
    assert [one.id for one in hierarchy.subtree("d", below)] == ["p", "q"]


def test_how_deep_projects_go() -> None:
    above: list[Project] = [TREE["d"]]
    for depth in range(hierarchy.DEPTH_MAX):
        hierarchy.check_place(above[0], above[1:], "d")
        name = f"p{depth}"
        above.insert(0, Project(id=name, name=name, domain_id="d", parent_id=above[0].id))
    with pytest.raises(Forbidden, match="depth"):
        hierarchy.check_place(above[0], above[1:], "d")


def test_no_project_below_what_is_disabled_or_foreign() -> None:
    off = msgspec.structs.replace(TREE["p"], enabled=False)
    with pytest.raises(Forbidden, match="disabled"):
        hierarchy.check_place(off, [TREE["d"]], "d")
    with pytest.raises(Invalid, match="do not match"):
        hierarchy.check_place(TREE["p"], [TREE["d"]], "other")


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ({"tags": "a,b"}, True),
        ({"tags": "a,c"}, False),
        ({"tags-any": "a,c"}, True),
        ({"not-tags": "a,b"}, False),
        ({"not-tags": "a,c"}, True),
        ({"not-tags-any": "a,c"}, False),
        ({"tags": "a", "not-tags-any": "c"}, True),
    ],
)
def test_tag_filters(query: dict[str, str], fits: bool) -> None:
    test = projects.tag_filter(query)
    assert test is not None and test(frozenset("ab")) is fits
    assert projects.tag_filter({"name": "x"}) is None


TOKEN = Payload(user_id="u", methods=("password",), expires_at=9e9, audit_ids=("own", "chain"),
                issued_at=100.0, scope=Scope(project_id="p"))  # fmt: skip


@pytest.mark.parametrize(
    ("what", "cancelled"),
    [
        ({"user_id": "u"}, True),
        ({"user_id": "v"}, False),
        ({"user_id": "u", "project_id": "p"}, True),
        ({"user_id": "u", "project_id": "q"}, False),
        ({"domain_id": "home"}, True),
        ({"domain_id": "users"}, True),
        ({"domain_id": "else"}, False),
        ({"audit_id": "own"}, True),
        ({"audit_id": "chain"}, False),
        ({"audit_chain_id": "chain"}, True),
        ({"application_credential_id": "a"}, False),
    ],
)
def test_what_an_event_cancels(what: dict[str, str], cancelled: bool) -> None:
    event = Revocation(id="e", issued_before=200.0, revoked_at=200.0, **what)
    assert revocations.is_revoked(TOKEN, "home", "users", [event]) is cancelled
    later = msgspec.structs.replace(TOKEN, issued_at=201.0)
    assert not revocations.is_revoked(later, "home", "users", [event])


@given(st.lists(st.tuples(st.sampled_from(["login", "event"]), st.floats(0, 0.7)), max_size=12))
def test_each_event_ends_every_login_before_it_and_none_after(
    steps: list[tuple[str, float]],
) -> None:
    """However close together in time they are."""
    now, events, alive = 1_000_000.0, [], []
    for step, later_s in steps:
        now += later_s
        if step == "event":
            latest = max((event.issued_before for event in events), default=None)
            at = revocations.event_time(now, latest)
            events.append(Revocation(id="e", issued_before=at, revoked_at=now, user_id="u"))
            alive = [(token, False) for token, _ in alive]
        else:
            issued_at = revocations.issue_time(now, TOKEN, (None, None), events)
            alive.append((msgspec.structs.replace(TOKEN, issued_at=issued_at), True))
        for token, good in alive:
            assert revocations.is_revoked(token, None, None, events) is not good


USER = User(id="u", name="u", domain_id="d", created_at=0.0)
STRICT = rules.PasswordRules(
    lockout_attempts=3,
    lockout_s=100.0,
    inactive_days_max=30,
    expires_days=10,
    minimum_age_days=1,
    regex=r"^(?=.*\d).{7,}$",
    regex_description="7 letters and a digit",
    change_upon_first_use=True,
)


def test_password_rules() -> None:
    with pytest.raises(Invalid, match="7 letters and a digit"):
        rules.check_new("short1", STRICT)
    rules.check_new("long enough 1", STRICT)
    assert rules.expiry(USER, STRICT, 0.0) == 10 * rules.DAY_S
    exempt = msgspec.structs.replace(USER, options={"ignore_password_expiry": True})
    assert rules.expiry(exempt, STRICT, 0.0) is None
    mine = Password(id="p", user_id="u", hash="", created_at=0.0, self_service=True)
    with pytest.raises(Invalid, match="minimum age"):
        rules.check_age(mine, STRICT, rules.DAY_S / 2)
    rules.check_age(mine, STRICT, rules.DAY_S * 2)


def test_lockout_ends_by_itself() -> None:
    failed = msgspec.structs.replace(USER, failed_count=3, failed_at=1000.0)
    assert rules.is_locked(failed, STRICT, 1050.0)
    assert not rules.is_locked(failed, STRICT, 1100.0)
    assert not rules.is_locked(failed, rules.PasswordRules(), 1050.0)
    exempt = msgspec.structs.replace(failed, options={"ignore_lockout_failure_attempts": True})
    assert not rules.is_locked(exempt, STRICT, 1050.0)


def test_a_password_that_has_run_out() -> None:
    old = Password(id="p", user_id="u", hash="", created_at=0.0, expires_at=5.0, self_service=True)
    rules.check_password(USER, old, STRICT, 4.0)
    with pytest.raises(Unauthorized, match="expired"):
        rules.check_password(USER, old, STRICT, 5.0)
    first = Password(id="p", user_id="u", hash="", created_at=0.0)
    with pytest.raises(Unauthorized, match="needs to be changed"):
        rules.check_password(USER, first, STRICT, 1.0)


def test_idle_users_count_as_disabled() -> None:
    assert rules.is_enabled(USER, STRICT, rules.DAY_S * 30)
    assert not rules.is_enabled(USER, STRICT, rules.DAY_S * 31)


def test_several_factors() -> None:
    both = [["password", "totp"]]
    careful = msgspec.structs.replace(
        USER, options={"multi_factor_auth_enabled": True, "multi_factor_auth_rules": both}
    )
    with pytest.raises(Unauthorized):
        rules.check_factors(careful, ("password",))
    rules.check_factors(careful, ("password", "totp"))
