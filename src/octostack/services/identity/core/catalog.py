# SPDX-License-Identifier: Apache-2.0
"""Which of the catalog's endpoints a project sees: all, unless some were chosen for it."""

from collections.abc import Iterable, Mapping, Sequence

from octostack.services.identity.model import JSON, Endpoint, EndpointGroup

FILTERS = ("service_id", "region_id", "interface")


def in_group(endpoint: Endpoint, group: EndpointGroup) -> bool:
    """Does `endpoint` fit every filter of `group`?"""
    return all(getattr(endpoint, name) == value for name, value in group.filters.items())


def chosen(
    endpoints: Sequence[Endpoint],
    groups: Mapping[str, EndpointGroup],
    endpoint_pairs: Iterable[tuple[str, str]],
    group_pairs: Iterable[tuple[str, str]],
) -> dict[str, frozenset[str]]:
    """Project id: the ids of the endpoints chosen for it, directly or by a group."""
    found: dict[str, set[str]] = {}
    for endpoint_id, project_id in endpoint_pairs:
        found.setdefault(project_id, set()).add(endpoint_id)
    for group_id, project_id in group_pairs:
        fitting = {one.id for one in endpoints if in_group(one, groups[group_id])}
        found.setdefault(project_id, set()).update(fitting)
    return {project_id: frozenset(ids) for project_id, ids in found.items()}


def visible(services: list[JSON], ids: frozenset[str]) -> list[JSON]:
    """`services` with only those endpoints; a service left without any is left out."""
    shown = [
        service | {"endpoints": [e for e in service["endpoints"] if e["id"] in ids]}
        for service in services
    ]
    return [service for service in shown if service["endpoints"]]
