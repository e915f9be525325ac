# SPDX-License-Identifier: Apache-2.0
"""Limits of a project, in the names Glance registers with Keystone; -1 is no limit."""

import msgspec

from octostack.base.errors import OctoError, TooLarge

MIB = 1 << 20


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What each project may have; sizes in MiB."""

    image_count_total: int = -1
    image_size_total: int = -1
    image_stage_total: int = -1
    image_count_uploading: int = -1


class Usage(msgspec.Struct, frozen=True):
    """What a project has; sizes in MiB."""

    image_count_total: int = 0
    image_size_total: int = 0
    image_stage_total: int = 0
    image_count_uploading: int = 0


def check(limits: Limits, usage: Usage, name: str, more: int = 0) -> None:
    """Raise TooLarge (413, as Glance answers) when `more` would pass the limit `name`."""
    limit, used = getattr(limits, name), getattr(usage, name)
    if 0 <= limit < used + more:
        raise over(name, limit, used, more)


def over(name: str, limit: int, used: int, more: int) -> OctoError:
    """The refusal, in oslo.limit's words."""
    return TooLarge(
        f"The request you have made is denied, because the following limits are exceeded: "
        f"Resource {name} is over limit of {limit} due to current usage {used} and delta {more}",
        code="image.over_quota",
        resource=name,
    )


def view(limits: Limits, usage: Usage) -> dict[str, dict[str, int]]:
    """Limits and usage as the API shows them."""
    return {
        name: {"limit": getattr(limits, name), "usage": getattr(usage, name)}
        for name in Limits.__struct_fields__
    }
