# SPDX-License-Identifier: Apache-2.0
"""The query and the answer of ``GET /allocation_candidates``."""

from typing import Any

from octostack.contracts.placement import CandidateQuery, Candidates
from octostack.runtime.http import versions
from octostack.services.placement.schema.parts import NUMBERED, SUFFIX, query

_TEXT = {"type": "string"}
_LIMIT = {"type": "string", "pattern": "^[1-9][0-9]*$", "maxLength": 400}
_POLICY = {"type": "string", "enum": ["none", "isolate"]}


def _groups(suffix: str, *names: str) -> dict[str, Any]:
    return {f"^{name}({suffix})?$": _TEXT for name in names}


_1_10 = {"resources": _TEXT}
_1_16 = _1_10 | {"limit": _LIMIT}
_1_17 = _1_16 | {"required": _TEXT}
_1_21 = _1_17 | {"member_of": _TEXT}
_1_25 = {"limit": _LIMIT, "group_policy": _POLICY}
_1_35 = _1_25 | {"root_required": _TEXT}
_1_36 = _1_35 | {"same_subtree": _TEXT}
_GRANULAR = ("resources", "required", "member_of")
_NAMED = _groups(SUFFIX, *_GRANULAR, "in_tree")
_ONE = ("resources",)

GET = versions(
    ("1.36", query(_1_36, patterns=_NAMED)),
    ("1.35", query(_1_35, patterns=_NAMED)),
    ("1.33", query(_1_25, patterns=_NAMED)),
    ("1.31", query(_1_25, patterns=_groups(NUMBERED, *_GRANULAR, "in_tree"))),
    ("1.25", query(_1_25, patterns=_groups(NUMBERED, *_GRANULAR))),
    ("1.21", query(_1_21, required=_ONE)),
    ("1.17", query(_1_17, required=_ONE)),
    ("1.16", query(_1_16, required=_ONE)),
    ("1.10", query(_1_10, required=_ONE)),
)


def view(found: Candidates, asked: CandidateQuery, version: tuple[int, int]) -> dict[str, Any]:
    """Candidates and summaries as `version` shows them."""
    return {
        "allocation_requests": _requests(found, version),
        "provider_summaries": _summaries(found, asked, version),
    }


def _requests(found: Candidates, version: tuple[int, int]) -> list[dict[str, Any]]:
    if version < (1, 12):
        return [
            {
                "allocations": [
                    {"resource_provider": {"uuid": provider_id}, "resources": resources}
                    for provider_id, resources in one.allocations.items()
                ]
            }
            for one in found.candidates
        ]
    requests = []
    for one in found.candidates:
        request: dict[str, Any] = {
            "allocations": {k: {"resources": v} for k, v in one.allocations.items()}
        }
        if version >= (1, 34):
            request["mappings"] = one.mappings
        requests.append(request)
    return requests


def _summaries(
    found: Candidates, asked: CandidateQuery, version: tuple[int, int]
) -> dict[str, dict[str, Any]]:
    wanted = {name for group in asked.groups for name in group.resources}
    everything = version >= (1, 27)
    shown = {}
    for provider_id, summary in found.summaries.items():
        one: dict[str, Any] = {
            "resources": {
                name: {"capacity": usage.capacity, "used": usage.used}
                for name, usage in summary.resources.items()
                if everything or name in wanted
            }
        }
        if version >= (1, 17):
            one["traits"] = summary.traits
        if version >= (1, 29):
            one["parent_provider_uuid"] = summary.parent_id
            one["root_provider_uuid"] = summary.root_id
        shown[provider_id] = one
    return shown
