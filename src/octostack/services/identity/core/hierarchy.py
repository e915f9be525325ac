# SPDX-License-Identifier: Apache-2.0
"""The tree of projects under each domain: who is above, who is below, how deep it may grow."""

from collections.abc import Iterable, Mapping

from octostack.base.errors import Forbidden, Invalid
from octostack.services.identity.model import Project

DEPTH_MAX = 5  # levels of projects under a domain; Keystone's [DEFAULT] max_project_tree_depth


def parents(project: Project, by_id: Mapping[str, Project]) -> list[Project]:
    """From the direct parent up to the domain."""
    found: list[Project] = []
    here = project
    while here.parent_id is not None and here.parent_id in by_id:
        here = by_id[here.parent_id]
        found.append(here)
    return found


def above_ids(project: Project, by_id: Mapping[str, Project]) -> tuple[str, ...]:
    """The ids of all parents, the domain included."""
    return tuple(parent.id for parent in parents(project, by_id))


def children(projects: Iterable[Project]) -> dict[str, list[Project]]:
    """Parent id: its direct children."""
    found: dict[str, list[Project]] = {}
    for project in projects:
        if project.parent_id is not None:
            found.setdefault(project.parent_id, []).append(project)
    return found


def subtree(project_id: str, below: Mapping[str, list[Project]]) -> list[Project]:
    """All below `project_id`, parents before their children."""
    found: list[Project] = []
    wanted = list(below.get(project_id, ()))
    while wanted:
        project = wanted.pop(0)
        found.append(project)
        wanted += below.get(project.id, ())
    return found


def subtree_ids(project_id: str, below: Mapping[str, list[Project]]) -> dict[str, object] | None:
    """The ids below as nested mappings, None at a leaf (``?subtree_as_ids``)."""
    under = below.get(project_id)
    if not under:
        return None
    return {project.id: subtree_ids(project.id, below) for project in under}


def parent_ids(above: list[Project]) -> dict[str, object] | None:
    """The ids above as nested mappings (``?parents_as_ids``)."""
    nested: dict[str, object] | None = None
    for project in reversed(above):
        nested = {project.id: nested}
    return nested


def check_place(parent: Project, above_parent: list[Project], domain_id: str) -> None:
    """May a project of `domain_id` be made under `parent`? Raises Invalid, Forbidden."""
    parent_domain_id = parent.id if parent.is_domain else parent.domain_id
    if parent_domain_id != domain_id:
        raise Invalid(
            f"Invalid input for operation: domain_id and parent's domain do not match: "
            f"{domain_id} and {parent_domain_id}.",
            field="parent_id",
        )
    disabled = [one.id for one in (parent, *above_parent) if not one.enabled]
    if disabled:
        raise Forbidden(
            f"cannot create a project in a branch containing a disabled project: {disabled[0]}"
        )
    # The domain does not count as a level.
    if len(above_parent) + (0 if parent.is_domain else 1) > DEPTH_MAX:
        raise Forbidden(f"Max hierarchy depth reached for {parent.id} branch.")
