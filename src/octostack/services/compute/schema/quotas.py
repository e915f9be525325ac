# SPDX-License-Identifier: Apache-2.0
"""Quotas, limits and usage in and out."""

from typing import Any

from octostack.runtime.http import versions
from octostack.services.compute.core import quota
from octostack.services.compute.schema import terms
from octostack.services.compute.schema.terms import Json

_LIMIT: Json = {
    "type": ["integer", "string"],
    "pattern": "^-?[0-9]+$",
    "minimum": -1,
    "maximum": terms.INT32_MAX,
    "format": "limit",
}


def _update(key: str, version: tuple[int, int], *, force: bool) -> Any:
    values: Json = dict.fromkeys(quota.names(version), _LIMIT)
    if force:
        values |= {"tenant_id": terms.NAME, "force": terms.BOOLEAN}
    return terms.body(key, terms.whole(values))


UPDATE = versions(
    *(
        (at, _update("quota_set", number, force=True))
        for at, number in (("2.57", (2, 57)), ("2.36", (2, 36)), ("2.1", (2, 1)))
    )
)
UPDATE_CLASS = versions(
    *(
        (at, _update("quota_class_set", number, force=False))
        for at, number in (("2.57", (2, 57)), ("2.50", (2, 50)), ("2.1", (2, 1)))
    )
)


def class_names(version: tuple[int, int]) -> tuple[str, ...]:
    """The quotas a class shows: network's went with 2.50, server groups came then."""
    if version >= (2, 50):
        return quota.names(version)
    return tuple(n for n in quota.DEFAULTS if n not in ("server_groups", "server_group_members"))


def limits(
    values: dict[str, int], used: dict[str, int], version: tuple[int, int]
) -> dict[str, int]:
    """The absolute limits of GET /limits."""
    names = [(n, s) for n, s in _LIMITS if n in quota.names(version)]
    shown = {s: values[n] for n, s in names}
    shown |= {s: used.get(n, 0) for n, s in _USED if n in quota.names(version)}
    if version < (2, 39):
        shown["maxImageMeta"] = values["metadata_items"]
    return shown


_LIMITS = (
    ("instances", "maxTotalInstances"),
    ("cores", "maxTotalCores"),
    ("ram", "maxTotalRAMSize"),
    ("metadata_items", "maxServerMeta"),
    ("injected_files", "maxPersonality"),
    ("injected_file_content_bytes", "maxPersonalitySize"),
    ("key_pairs", "maxTotalKeypairs"),
    ("server_groups", "maxServerGroups"),
    ("server_group_members", "maxServerGroupMembers"),
    ("floating_ips", "maxTotalFloatingIps"),
    ("security_groups", "maxSecurityGroups"),
    ("security_group_rules", "maxSecurityGroupRules"),
)
_USED = (
    ("instances", "totalInstancesUsed"),
    ("cores", "totalCoresUsed"),
    ("ram", "totalRAMUsed"),
    ("server_groups", "totalServerGroupsUsed"),
    ("floating_ips", "totalFloatingIpsUsed"),
    ("security_groups", "totalSecurityGroupsUsed"),
)
