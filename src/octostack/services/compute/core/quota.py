# SPDX-License-Identifier: Apache-2.0
"""How much a project may have: limits by name, and whether a request stays within them."""

from octostack.base.errors import OverQuota
from octostack.services.compute.model import Flavor, NewServer, Usage

DEFAULTS: dict[str, int] = {
    "instances": 10,
    "cores": 20,
    "ram": 51200,
    "metadata_items": 128,
    "injected_files": 5,
    "injected_file_content_bytes": 10240,
    "injected_file_path_bytes": 255,
    "key_pairs": 100,
    "server_groups": 10,
    "server_group_members": 10,
    # Kept by Network; here only because old versions of the API show them.
    "fixed_ips": -1,
    "floating_ips": -1,
    "security_groups": -1,
    "security_group_rules": -1,
}
NETWORK = ("fixed_ips", "floating_ips", "security_groups", "security_group_rules")
FILES = ("injected_files", "injected_file_content_bytes", "injected_file_path_bytes")

TOO_MANY_METADATA = "Maximum number of metadata items exceeds {limit}"
TOO_MANY_FILES = "Maximum number of injected files exceeds {limit}"
FILE_PATH_TOO_LONG = "Injected file path too long, at most {limit} bytes"
FILE_TOO_LONG = "Injected file content too long, at most {limit} bytes"


def names(version: tuple[int, int]) -> tuple[str, ...]:
    """The quotas that a version of the API knows."""
    gone = (NETWORK if version >= (2, 36) else ()) + (FILES if version >= (2, 57) else ())
    return tuple(name for name in DEFAULTS if name not in gone)


def check_count(name: str, count: int, limits: dict[str, int], text: str) -> None:
    """Raise OverQuota with `text` when `count` is beyond a limit; -1 is no limit."""
    limit = limits[name]
    if 0 <= limit < count:
        raise OverQuota(text.format(limit=limit), code="OverQuota", resource=name)


def count_allowed(new: NewServer, flavor: Flavor, used: Usage, limits: dict[str, int]) -> int:
    """How many of `max_count` servers fit. Raises OverQuota when fewer than `min_count`."""
    asks = {"instances": 1, "cores": flavor.vcpus, "ram": flavor.memory_mb}
    have = {"instances": used.instances, "cores": used.cores, "ram": used.ram}
    room = new.max_count
    for name, each in asks.items():
        if limits[name] >= 0 and each > 0:
            room = min(room, max(0, limits[name] - have[name]) // each)
    if room >= new.min_count:
        return room
    over = [
        name
        for name, each in asks.items()
        if limits[name] >= 0 and have[name] + each * new.min_count > limits[name]
    ]
    raise OverQuota(
        "Quota exceeded for {}: Requested {}, but already used {} of {} {}".format(
            ", ".join(over),
            ", ".join(str(asks[n] * new.min_count) for n in over),
            ", ".join(str(have[n]) for n in over),
            ", ".join(str(limits[n]) for n in over),
            ", ".join(over),
        ),
        code="TooManyInstances",
        resource=over[0],
    )
