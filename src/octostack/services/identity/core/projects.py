# SPDX-License-Identifier: Apache-2.0
"""What a project or domain becomes by a request, and which tags a filter asks for."""

from collections.abc import Callable, Iterable, Mapping

from octostack.base.errors import Forbidden, Invalid, NotFound
from octostack.services.identity.model import JSON, Project

_KNOWN = (
    "id",
    "name",
    "description",
    "domain_id",
    "parent_id",
    "is_domain",
    "enabled",
    "tags",
    "options",
    "links",
    "explicit_domain_id",
)
_FIXED = ("domain_id", "parent_id", "is_domain")

TagFilter = Callable[[frozenset[str]], bool]


def plan(given: JSON, *, id: str, domain_id: str) -> Project:
    """A project as it is asked for."""
    return Project(
        id=id,
        name=given["name"],
        domain_id=domain_id,
        parent_id=given.get("parent_id") or domain_id,
        enabled=given.get("enabled", True),
        description=given.get("description") or "",
        options=_options({}, given.get("options", {})),
        extra=_extra(given),
    )


def plan_domain(given: JSON, *, id: str) -> Project:
    """A domain as it is asked for."""
    return Project(
        id=id,
        name=given["name"],
        is_domain=True,
        enabled=given.get("enabled", True),
        description=given.get("description") or "",
        options=_options({}, given.get("options", {})),
        extra=_extra(given),
    )


def changes(project: Project, given: JSON) -> JSON:
    """The attributes that change. Raises Invalid for a fixed one, Forbidden when immutable."""
    for name in _FIXED:
        if name in given and given[name] != getattr(project, name):
            if name == "parent_id":
                raise Forbidden("Update of `parent_id` is not allowed", field=name)
            raise Invalid(f"Update of `{name}` is not allowed.", field=name)
    options = _options(project.options, given.get("options", {}))
    if set(given) != {"options"} or options.get("immutable"):
        check_mutable(project, "update")
    found: JSON = {name: given[name] for name in ("name", "enabled") if name in given}
    if "description" in given:
        found["description"] = given["description"] or ""
    if "options" in given:
        found["options"] = options
    extra = _extra(given)
    if extra:
        found["extra"] = project.extra | extra
    return found


def check_mutable(project: Project, what: str) -> None:
    """Raises Forbidden for a project or domain that shall stay as it is."""
    if project.options.get("immutable"):
        kind = "domain" if project.is_domain else "project"
        raise Forbidden(
            f"Unable to {what} immutable {kind} resource: `{project.id}`. Set resource option "
            '"immutable" to false first'
        )


def tag_filter(query: Mapping[str, str]) -> TagFilter | None:
    """The tags asked for by tags (all), tags-any, not-tags and not-tags-any."""
    tests: list[TagFilter] = []
    for name, test in _TAG_TESTS.items():
        if name in query:
            wanted = frozenset(query[name].split(","))
            tests.append(test(wanted))
    return (lambda tags: all(test(tags) for test in tests)) if tests else None


_TAG_TESTS: dict[str, Callable[[frozenset[str]], TagFilter]] = {
    "tags": lambda wanted: lambda tags: wanted <= tags,
    "tags-any": lambda wanted: lambda tags: bool(wanted & tags),
    "not-tags": lambda wanted: lambda tags: not wanted <= tags,
    "not-tags-any": lambda wanted: lambda tags: not wanted & tags,
}


def check_has_tag(tag: str, found: Iterable[list[str]]) -> None:
    """Raises NotFound unless `tag` is among those found."""
    if not any(tag in tags for tags in found):
        raise NotFound(f"Could not find project tag: {tag}.", code="tag.not_found")


def _extra(given: JSON) -> JSON:
    return {name: value for name, value in given.items() if name not in _KNOWN}


def _options(before: JSON, given: JSON) -> JSON:
    return {name: value for name, value in (before | given).items() if value is not None}
