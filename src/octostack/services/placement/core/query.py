# SPDX-License-Identifier: Apache-2.0
"""Query strings: resources, required, member_of, in_tree and the rules between them.

The forms grew with the microversions (placement/lib.py and util.py of openstack/placement); what
an older version does not know it refuses as it did.
"""

import re
import uuid
from collections.abc import Sequence

from octostack.base.errors import Invalid
from octostack.contracts.placement import CandidateQuery, RequestGroup

Version = tuple[int, int]
Pairs = Sequence[tuple[str, str]]

BAD_VALUE = "placement.query.bad_value"
MISSING_VALUE = "placement.query.missing_value"
DUPLICATE_KEY = "placement.query.duplicate_key"
AMOUNT_MAX = (1 << 62) - 1

_KEYS = "resources|required|member_of|in_tree"
_NUMBERED = re.compile(rf"({_KEYS})([1-9][0-9]*)?")
_NAMED = re.compile(rf"({_KEYS})([a-zA-Z0-9_-]{{1,64}})?")


def is_uuid(text: object) -> bool:
    """True for a UUID with or without dashes, in any case."""
    if not isinstance(text, str):
        return False
    try:
        return uuid.UUID(text).hex == text.lower().replace("-", "")
    except ValueError:
        return False


def dashed(text: str) -> str:
    """The usual spelling of a UUID."""
    return str(uuid.UUID(text))


def candidates(pairs: Pairs, version: Version) -> CandidateQuery:
    """``GET /allocation_candidates`` as a query. Raises Invalid."""
    groups = _groups(pairs, version)
    subtrees = _same_subtree(pairs)
    if version >= (1, 36):
        _check_suffixes(groups, subtrees)
    else:
        _check_orphans(groups)
    for group in groups.values():
        _check_contradiction(group)
    policy = _first(pairs, "group_policy")
    if policy is None and sum(1 for suffix in groups if suffix) > 1:
        raise Invalid(
            'The "group_policy" parameter is required when specifying more than one '
            '"resources{N}" parameter.',
            field="group_policy",
        )
    required, forbidden = _root_required(pairs)
    limit = _first(pairs, "limit")
    return CandidateQuery(
        groups=tuple(groups.values()),
        group_policy=policy,
        same_subtree=subtrees,
        root_required=required,
        root_forbidden=forbidden,
        limit=min(int(limit), AMOUNT_MAX) if limit else 0,
    )


def provider_filter(pairs: Pairs, version: Version) -> RequestGroup:
    """The filters of ``GET /resource_providers`` as one group. Raises Invalid."""
    group = _group(pairs, "", version)
    _check_contradiction(group)
    return group


def _last(pairs: Pairs, name: str) -> str | None:
    values = _all(pairs, name)
    return values[-1] if values else None


def _first(pairs: Pairs, name: str) -> str | None:
    values = _all(pairs, name)
    return values[0] if values else None


def _all(pairs: Pairs, name: str) -> list[str]:
    return [value for key, value in pairs if key == name]


def _groups(pairs: Pairs, version: Version) -> dict[str, RequestGroup]:
    pattern = _NAMED if version >= (1, 33) else _NUMBERED
    suffixes: dict[str, None] = {}
    for key, _value in pairs:
        match = pattern.fullmatch(key)
        if match:
            suffixes[match[2] or ""] = None
    return {suffix: _group(pairs, suffix, version) for suffix in suffixes}


def _group(pairs: Pairs, suffix: str, version: Version) -> RequestGroup:
    resources = _last(pairs, "resources" + suffix)
    required, forbidden = _traits(_all(pairs, "required" + suffix), version)
    member_of, not_member_of = _aggregates(_all(pairs, "member_of" + suffix), suffix, version)
    in_tree = _last(pairs, "in_tree" + suffix)
    if in_tree is not None:
        in_tree = _tree(in_tree)
    return RequestGroup(
        suffix=suffix,
        resources=_resources(resources) if resources is not None else {},
        required=required,
        forbidden=forbidden,
        member_of=member_of,
        not_member_of=not_member_of,
        in_tree=in_tree,
    )


def _resources(text: str) -> dict[str, int]:
    form = (
        "Badly formed resources parameter. Expected resources query string parameter in form: "
        "?resources=VCPU:2,MEMORY_MB:1024. Got: "
    )
    if not text.strip():
        raise Invalid(f"{form}empty string.", field="resources")
    found = {}
    for part in text.split(","):
        name, colon, amount_text = part.partition(":")
        if not colon or ":" in amount_text:
            raise Invalid(f"{form}{part[:200]}.", field="resources")
        try:
            amount = int(amount_text)
        except ValueError:
            raise Invalid(
                f"Requested resource {name[:200]} expected positive integer amount. "
                f"Got: {amount_text[:200]}.",
                field="resources",
            ) from None
        if amount < 1:
            raise Invalid(
                f"Requested resource {name[:200]} requires amount >= 1. Got: {amount}.",
                field="resources",
            )
        found[name] = min(amount, AMOUNT_MAX)
    return found


def _traits(
    values: list[str], version: Version
) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    if version < (1, 39):
        values = values[-1:]  # before 1.39 a repeated parameter counted once, the last
    required: list[tuple[str, ...]] = []
    forbidden: set[str] = set()
    for value in values:
        if value.startswith("in:"):
            required.append(_any_traits(value, version))
            continue
        one_each, not_these = _plain_traits(value, version >= (1, 22))
        required.extend((name,) for name in one_each)
        forbidden |= not_these
    return tuple(required), tuple(sorted(forbidden))


def _any_traits(value: str, version: Version) -> tuple[str, ...]:
    names = {part.strip() for part in value[3:].split(",")}
    reason = None
    if version < (1, 39):
        reason = (
            "The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' only supported since microversion 1.39. "
        )
    elif "" in names:
        reason = (
            "Expected 'required' parameter value of the form: in:HW_CPU_X86_VMX,CUSTOM_MAGIC. "
            "Got an empty trait in: "
        )
        raise Invalid(f"Invalid query string parameters: {reason}{value}", field="required")
    elif any(name.startswith("!") for name in names):
        reason = "The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' does not support forbidden traits. "
    if reason:
        raise Invalid(f"Invalid query string parameters: {reason}Got: {value}", field="required")
    return tuple(sorted(names))


def _plain_traits(value: str, allow_forbidden: bool) -> tuple[list[str], set[str]]:
    names = [part.strip() for part in value.split(",")]
    forbidden = {name.lstrip("!") for name in names if name.startswith("!")}
    expected = "Invalid query string parameters: Expected 'required' parameter value of the form: "
    plain = "HW_CPU_X86_VMX,CUSTOM_MAGIC. "
    if "" in forbidden or "" in names:
        form = "HW_CPU_X86_VMX,!CUSTOM_MAGIC. " if allow_forbidden else plain
        raise Invalid(f"{expected}{form}Got an empty trait in: {value}", field="required")
    if forbidden and not allow_forbidden:
        raise Invalid(f"{expected}{plain}Got: {value}", field="required")
    return [name for name in names if not name.startswith("!")], forbidden


def _aggregates(
    values: list[str], suffix: str, version: Version
) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    field = f"member_of{suffix}"
    if version < (1, 24) and len(values) > 1:
        raise Invalid(f"Multiple {field} parameters are not supported", field=field)
    required = []
    forbidden: set[str] = set()
    for value in values:
        negative, uuids = _member_of(value, field)
        if not negative:
            required.append(tuple(sorted(uuids)))
        elif version < (1, 32):
            raise Invalid(
                f"Forbidden {field} parameters are not supported in the specified microversion",
                field=field,
            )
        else:
            forbidden |= uuids
    return tuple(required), tuple(sorted(forbidden))


def _member_of(value: str, field: str) -> tuple[bool, set[str]]:
    if "," in value and not value.startswith(("in:", "!in:")):
        raise Invalid(
            "Multiple values for 'member_of' must be prefixed with the 'in:' or '!in:' keyword "
            f"using the valid microversion. Got: {value}",
            field=field,
        )
    negative = value.startswith("!")
    text = value[1:] if negative else value
    uuids = set(text[3:].split(",")) if text.startswith("in:") else {text}
    for one in uuids:
        if not is_uuid(one):
            raise Invalid(
                "Invalid query string parameters: Expected 'member_of' parameter to contain valid "
                f"UUID(s). Got: {one}",
                field=field,
            )
    return negative, uuids


def _tree(value: str) -> str:
    text = value.strip()
    if not is_uuid(text):
        raise Invalid(
            "Invalid query string parameters: Expected 'in_tree' parameter to be a format of "
            f"uuid. Got: {value}",
            field="in_tree",
        )
    return text


def _root_required(pairs: Pairs) -> tuple[tuple[str, ...], tuple[str, ...]]:
    values = _all(pairs, "root_required")
    if not values:
        return (), ()
    if len(values) > 1:
        raise Invalid(
            "Query parameter 'root_required' may be specified only once.",
            code=DUPLICATE_KEY,
            field="root_required",
        )
    if values[0].startswith("in:"):
        _any_traits(values[0], (1, 38))  # never allowed here; raises
    required, forbidden = _plain_traits(values[0], True)
    if conflicts := forbidden & set(required):
        raise Invalid(
            "Conflicting required and forbidden traits found in root_required: "
            f"{', '.join(sorted(conflicts))}",
            code=BAD_VALUE,
            field="root_required",
        )
    return tuple(sorted(set(required))), tuple(sorted(forbidden))


def _same_subtree(pairs: Pairs) -> tuple[tuple[str, ...], ...]:
    rules = []
    for value in _all(pairs, "same_subtree"):
        suffixes = {part.strip() for part in value.split(",")}
        if "" in suffixes:
            raise Invalid(
                "Empty string (unsuffixed group) can not be specified in `same_subtree` ",
                code=BAD_VALUE,
                field="same_subtree",
            )
        rules.append(tuple(sorted(suffixes)))
    return tuple(rules)


def _check_suffixes(groups: dict[str, RequestGroup], subtrees: tuple[tuple[str, ...], ...]) -> None:
    named = {suffix for rule in subtrees for suffix in rule}
    empty = [suffix for suffix, group in groups.items() if not group.resources]
    if len(empty) == len(groups):
        raise Invalid(
            "There must be at least one resources or resources[$S] parameter.",
            code=MISSING_VALUE,
            field="resources",
        )
    if bad := [suffix for suffix in empty if suffix not in named]:
        raise Invalid(
            "Resourceless suffixed group request should be specified in `same_subtree` query "
            f"param: bad group(s) - {bad}.",
            code=BAD_VALUE,
            field="same_subtree",
        )
    if unknown := sorted(named - groups.keys()):
        raise Invalid(
            f"Real suffixes should be specified in `same_subtree`: {unknown} not found in "
            f"{list(groups)}.",
            code=BAD_VALUE,
            field="same_subtree",
        )


def _check_orphans(groups: dict[str, RequestGroup]) -> None:
    orphans = [f"required{s}" for s, g in groups.items() if g.required and not g.resources]
    if orphans:
        raise Invalid(
            "All traits parameters must be associated with resources.  Found the following "
            f"orphaned traits keys: {', '.join(orphans)}",
            field=orphans[0],
        )
    orphans = [
        f"member_of{s}"
        for s, g in groups.items()
        if (g.member_of or g.not_member_of) and not g.resources
    ]
    if orphans:
        raise Invalid(
            "All member_of parameters must be associated with resources. Found the following "
            f"orphaned member_of keys: {', '.join(orphans)}",
            field=orphans[0],
        )
    if not all(group.resources for group in groups.values()):
        raise Invalid("All request groups must specify resources.", field="resources")
    if not groups:
        raise Invalid(
            "At least one request group (`resources` or `resources{$S}`) is required.",
            field="resources",
        )


def _check_contradiction(group: RequestGroup) -> None:
    clashes = [
        f"required{group.suffix}: ({', '.join(names)})"
        for names in group.required
        if all(name in group.forbidden for name in names)
    ]
    if clashes:
        raise Invalid(
            "Conflicting required and forbidden traits found in the following traits keys: "
            f"{', '.join(sorted(clashes))}",
            field=f"required{group.suffix}",
        )
