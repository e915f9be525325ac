# SPDX-License-Identifier: Apache-2.0
"""From what was assigned to what is effective: groups, inheritance and implied roles unfolded.

    on a project   assigned there, directly or through a group;
                   or inherited: assigned "below" one of its parents or its domain
    on a domain    assigned there and not inherited (an inherited one is for the projects below)
    on the system  assigned there

Each role then brings the roles it implies, and theirs. A domain's own role is never in a token:
only the global roles it implies are.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from octostack.services.identity.model import SYSTEM, Assignment, Role, Scope

Implications = Mapping[str, frozenset[str]]  # role id: the ids of those it implies directly


class Place(msgspec.Struct, frozen=True):
    """A target with what lies above it: a project's parents and its domain."""

    scope: Scope
    above_ids: tuple[str, ...] = ()


def applies(assignment: Assignment, place: Place) -> bool:
    """True if `assignment` counts at `place` (whoever its actor is)."""
    scope = place.scope
    if scope.system:
        return assignment.target == "system" and assignment.target_id == SYSTEM
    if assignment.target == "system":
        return False
    if scope.domain_id:
        here = assignment.target == "domain" and assignment.target_id == scope.domain_id
        return here and not assignment.inherited
    if assignment.inherited:
        return assignment.target_id in place.above_ids
    return assignment.target == "project" and assignment.target_id == scope.project_id


def implied_by(role_id: str, implications: Implications) -> frozenset[str]:
    """`role_id` with all that it implies, however far; circles do no harm."""
    seen: set[str] = set()
    wanted = [role_id]
    while wanted:
        role = wanted.pop()
        if role not in seen:
            seen.add(role)
            wanted += implications.get(role, ())
    return frozenset(seen)


def effective(
    assigned: Iterable[str], implications: Implications, roles: Mapping[str, Role]
) -> tuple[Role, ...]:
    """The roles for a token, by name, out of those assigned."""
    unfolded: set[str] = set()
    for role_id in assigned:
        unfolded |= implied_by(role_id, implications)
    found = [roles[role_id] for role_id in unfolded if role_id in roles]
    return tuple(sorted((r for r in found if r.domain_id is None), key=lambda r: (r.name, r.id)))


def at(
    place: Place,
    assignments: Sequence[Assignment],
    implications: Implications,
    roles: Mapping[str, Role],
) -> tuple[Role, ...]:
    """The roles at `place` of the one whose `assignments` (own and groups') these are."""
    held = {one.role_id for one in assignments if applies(one, place)}
    return effective(held, implications, roles)
