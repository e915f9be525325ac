# SPDX-License-Identifier: Apache-2.0
"""From what a user asks for to the rows of new servers: every check that needs no other part."""

import re
from collections.abc import Sequence

import msgspec

from octostack.base.errors import Invalid
from octostack.services.compute.core import quota
from octostack.services.compute.model import Flavor, Image, KeyPair, NewServer, Server, Usage

GIB = 1 << 30
_HOST_JUNK = re.compile(r"[^a-z0-9.-]+")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What was read before the decision."""

    flavor: Flavor
    image: Image | None
    key: KeyPair | None
    group_id: str | None
    used: Usage
    limits: dict[str, int]
    project_id: str
    user_id: str
    now: float


def plan(new: NewServer, facts: Facts, ids: Sequence[str], reservation_id: str) -> list[Server]:
    """One row per server, in BUILD; how many: as the quota allows between min and max count.

    Raises Invalid for what does not fit together, OverQuota below `min_count`.
    """
    check_image(facts.flavor, facts.image)
    _check_limits(new, facts.limits)
    count = quota.count_allowed(new, facts.flavor, facts.used, facts.limits)
    many = new.max_count > 1
    return [
        _row(new, facts, (ids[i], reservation_id, i), numbered=many)
        for i in range(min(count, len(ids)))
    ]


def check_image(flavor: Flavor, image: Image | None) -> None:
    """Raise Invalid when the image cannot boot in this flavor."""
    if image is None:
        return
    if image.status != "active":
        raise Invalid(f"Image {image.id} is not active.", code="ImageNotActive")
    if flavor.memory_mb < image.min_ram_mb:
        raise Invalid(
            "Flavor's memory is too small for requested image.", code="FlavorMemoryTooSmall"
        )
    if flavor.root_gb == 0:
        return
    have = flavor.root_gb * GIB
    if image.size_bytes > have:
        raise Invalid(
            "Flavor's disk is too small for requested image. "
            f"Flavor disk is {have} bytes, image is {image.size_bytes} bytes.",
            code="FlavorDiskSmallerThanImage",
        )
    if image.min_disk_gb * GIB > have:
        raise Invalid(
            "Flavor's disk is smaller than the minimum size specified in image metadata. "
            f"Flavor disk is {have} bytes, minimum size is {image.min_disk_gb * GIB} bytes.",
            code="FlavorDiskSmallerThanMinDisk",
        )


def _check_limits(new: NewServer, limits: dict[str, int]) -> None:
    quota.check_count("metadata_items", len(new.metadata), limits, quota.TOO_MANY_METADATA)
    quota.check_count("injected_files", len(new.personality), limits, quota.TOO_MANY_FILES)
    for path, text in new.personality:
        quota.check_count(
            "injected_file_path_bytes", len(path.encode()), limits, quota.FILE_PATH_TOO_LONG
        )
        quota.check_count(
            "injected_file_content_bytes", len(text) * 3 // 4, limits, quota.FILE_TOO_LONG
        )


def _row(new: NewServer, facts: Facts, who: tuple[str, str, int], *, numbered: bool) -> Server:
    server_id, reservation_id, index = who
    suffix = f"-{index + 1}" if numbered else ""
    name = new.name + suffix
    hostname = new.hostname + suffix if new.hostname else hostname_of(name, server_id)
    return Server(
        id=server_id,
        project_id=facts.project_id,
        user_id=facts.user_id,
        name=name,
        description=new.description,
        hostname=hostname,
        image_id=new.image_id,
        flavor=facts.flavor,
        pinned_zone=new.availability_zone,
        key_name=new.key_name,
        config_drive=new.config_drive,
        user_data=new.user_data,
        access_ip_v4=new.access_ip_v4,
        access_ip_v6=new.access_ip_v6,
        metadata=new.metadata,
        tags=new.tags,
        reservation_id=reservation_id,
        launch_index=index,
        disk_config=new.disk_config,
        group_id=facts.group_id,
        boot=_boot_facts(new, facts),
        created_at=facts.now,
        updated_at=facts.now,
    )


def _boot_facts(new: NewServer, facts: Facts) -> dict[str, object]:
    """What the machine is made of beyond the columns; kept for rebuilds and for metadata."""
    return {
        "image": msgspec.to_builtins(facts.image) if facts.image else None,
        "security_groups": list(new.security_groups),
        "admin_pass": new.admin_pass,
        "personality": [list(pair) for pair in new.personality],
        "key": None
        if facts.key is None
        else {"name": facts.key.name, "type": facts.key.type, "data": facts.key.public_key},
        "hints": new.hints,
        "host": new.host,
        "node": new.hypervisor_hostname,
        "disks": [msgspec.to_builtins(d) for d in new.block_devices],
        "build": 1,
    }


def hostname_of(name: str, server_id: str) -> str:
    """A host name made of a display name (RFC 1123 letters, 63 at most)."""
    text = _HOST_JUNK.sub("", re.sub(r"[ _]", "-", name).lower()).strip(".-")[:63].rstrip(".-")
    return text or f"server-{server_id}"
