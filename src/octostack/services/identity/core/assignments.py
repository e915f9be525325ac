# SPDX-License-Identifier: Apache-2.0
"""The list of assignments: as they were made, or as they take effect."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from octostack.base.errors import Invalid
from octostack.services.identity.core import hierarchy
from octostack.services.identity.core.roles import Implications, implied_by
from octostack.services.identity.model import SYSTEM, Assignment, Project, Role


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of a listing; `project_ids` has those below as well where that is asked for."""

    role_id: str | None = None
    user_id: str | None = None
    group_id: str | None = None
    domain_id: str | None = None
    project_ids: frozenset[str] | None = None
    system: bool = False
    inherited: bool | None = None
    effective: bool = False


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One entry: an assignment, and the one that was made where that is another."""

    assignment: Assignment
    made: Assignment


class World(msgspec.Struct, frozen=True, kw_only=True):
    """All that an assignment may unfold along."""

    members: Mapping[str, Sequence[str]]  # group id: user ids
    projects: Mapping[str, Project]
    implications: Implications
    roles: Mapping[str, Role]


def check(asked: Asked) -> None:
    """Raises Invalid for filters that exclude each other."""
    targets = [bool(asked.project_ids), bool(asked.domain_id), asked.system]
    if sum(targets) > 1:
        raise Invalid("Specify one of project, domain and system.", field="scope.project.id")
    if asked.user_id and asked.group_id:
        raise Invalid("Specify a user or group, not both", field="group.id")
    if asked.effective and asked.group_id:
        raise Invalid(
            "Combining effective and group filter will always result in an empty list.",
            field="group.id",
        )
    if asked.effective and asked.domain_id and asked.inherited:
        raise Invalid(
            "Combining effective, domain and inherited filters will always result in an empty "
            "list.",
            field="scope.OS-INHERIT:inherited_to",
        )


def choose(made: Iterable[Assignment], asked: Asked, world: World) -> list[Listed]:
    """The entries that fit `asked`, each once."""
    below = hierarchy.children(world.projects.values())
    entries: Iterable[Listed]
    if asked.effective:
        entries = (listed for one in made for listed in _unfold(one, world, below))
    else:
        entries = (Listed(assignment=one, made=one) for one in made)
    return list(dict.fromkeys(entry for entry in entries if _fits(entry, asked)))


def _unfold(made: Assignment, world: World, below: Mapping[str, list[Project]]) -> Iterator[Listed]:
    users = [made.actor_id] if made.actor == "user" else world.members.get(made.actor_id, ())
    if made.inherited:
        reached = [p.id for p in hierarchy.subtree(made.target_id, below)]
        places = [("project", project_id) for project_id in reached]
    else:
        places = [(made.target, made.target_id)]
    for role_id in sorted(implied_by(made.role_id, world.implications)):
        role = world.roles.get(role_id)
        if role is None or role.domain_id is not None:
            continue
        for user_id in users:
            for target, target_id in places:
                shown = Assignment(
                    actor="user",
                    actor_id=user_id,
                    target=target,  # type: ignore[arg-type]
                    target_id=target_id,
                    role_id=role_id,
                )
                yield Listed(assignment=shown, made=made)


def _fits(entry: Listed, asked: Asked) -> bool:
    one = entry.assignment
    if asked.role_id is not None and one.role_id != asked.role_id:
        return False
    if asked.user_id is not None and (one.actor, one.actor_id) != ("user", asked.user_id):
        return False
    if asked.group_id is not None and (one.actor, one.actor_id) != ("group", asked.group_id):
        return False
    if asked.system and one.target_id != SYSTEM:
        return False
    if asked.domain_id is not None and (one.target, one.target_id) != ("domain", asked.domain_id):
        return False
    if asked.project_ids is not None and (
        one.target != "project" or one.target_id not in asked.project_ids
    ):
        return False
    return asked.inherited is None or entry.made.inherited == asked.inherited
