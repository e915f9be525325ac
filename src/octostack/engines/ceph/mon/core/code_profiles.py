# SPDX-License-Identifier: Apache-2.0
"""What a profile of an erasure code says: filled up and judged when it is set, as Ceph's plug-ins
do it, in their words. Codes that Ceph has and we cannot reckon are refused then too.
"""

import errno
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NoReturn

import msgspec

from octostack.engines.ceph.mon.core.answers import Failure

Profile = Mapping[str, str]

# osd_pool_default_erasure_code_profile
DEFAULT: Final = {"k": "2", "m": "2", "plugin": "jerasure", "technique": "reed_sol_van"}
_OBSOLETE: Final = "ruleset-"
_PLACED: Final = {"crush-device-class": "", "crush-failure-domain": "host", "crush-root": "default"}
_PER_CHUNK: Final = "jerasure-per-chunk-alignment"
_UNITS: Final = "BKMGTPE"
_INTEGER: Final = re.compile(r"\s*[+-]?\d+")
_BEST: Final = 4096  # a stripe unit should be a multiple of it
_WORDS: Final = (8, 16, 32)  # bits, of jerasure's


class _Technique(msgspec.Struct, frozen=True):
    """One of jerasure's that we have."""

    name: str  # in its messages
    m: str
    only_m: int = 0  # it can do no other
    end: str = ""  # of one of these
    filled: Mapping[str, str] = {}


_JERASURE: Final = {
    "reed_sol_van": _Technique("ReedSolomonVandermonde", "3", filled={_PER_CHUNK: "false"}),
    "reed_sol_r6_op": _Technique("ReedSolomonRAID6", "2", only_m=2, end=" "),
}
_NOT_HERE: Final = ("cauchy_orig", "cauchy_good", "liberation", "blaum_roth", "liber8tion")
_ISA: Final = ("reed_sol_van", "cauchy")


def parse(words: Sequence[str]) -> dict[str, str]:
    """A profile of ``key=value`` words; those of another plug-in begin with nothing. Raises
    Failure."""
    given: dict[str, str] = {}
    for word in words:
        key, _, value = word.partition("=")
        if key.startswith(_OBSOLETE):
            now = f"crush-{key.removeprefix(_OBSOLETE)}"
            why = f"property '{key}' is no longer supported; try '{now}' instead"
            raise Failure(errno.EINVAL, why)
        given[key] = value
    return DEFAULT | given if given.get("plugin", "jerasure") == "jerasure" else given


def complete(profile: Profile, *, force: bool = False) -> dict[str, str]:
    """All that the plug-in fills in. Raises Failure for what it refuses."""
    judge = _PLUGINS.get(profile["plugin"])
    if judge is None:
        why = f"erasure code plugin '{profile['plugin']}' is not there, only jerasure and isa are"
        raise Failure(errno.EIO, why)
    if profile.get("mapping"):
        raise Failure(errno.EOPNOTSUPP, "the order of shards (mapping) cannot be chosen")
    found = judge(profile)
    found |= {key: found.get(key) or value for key, value in _PLACED.items()}
    if "stripe_unit" in found:
        _judge_unit(found, force=force)
    return dict(sorted(found.items()))


def unit_of(profile: Profile, usual: int) -> int:
    """How many bytes of a stripe go to a shard: as the profile says, or the `usual` ones filled up
    to what the code works on. Raises Failure."""
    wanted = _bytes(profile["stripe_unit"]) if "stripe_unit" in profile else usual
    return _filled_up(profile, wanted)


def _jerasure(profile: Profile) -> dict[str, str]:
    name = profile["technique"]
    technique = _JERASURE.get(name)
    if technique is None:
        _refuse_technique(name, ", ".join((*_JERASURE, *_NOT_HERE)))
    found = dict(profile)
    k, m = _integer(found, "k", "7"), _integer(found, "m", technique.m)
    w = _integer(found, "w", "8")
    _judge_sizes(k, m)
    if technique.only_m and m != technique.only_m:
        only = technique.only_m
        why = f"{technique.name}: m={m} must be {only} for RAID6: revert to {only}"
        raise Failure(errno.EINVAL, why)
    if w not in _WORDS:
        why = f"{technique.name}: w={w} must be one of {{8, 16, 32}} : revert to 8{technique.end}"
        raise Failure(errno.EINVAL, why)
    if w != _WORDS[0]:
        raise Failure(errno.EOPNOTSUPP, f"w={w} is not there, only 8 is")
    return found | {key: found.get(key) or value for key, value in technique.filled.items()}


def _isa(profile: Profile) -> dict[str, str]:
    found = {"technique": "reed_sol_van", **profile}
    if found["technique"] not in _ISA:
        _refuse_technique(found["technique"], ",".join(_ISA))
    k, m = _integer(found, "k", "7"), _integer(found, "m", "3")
    _judge_sizes(k, m)
    if found["technique"] != "reed_sol_van":
        return found
    why = ""
    if k > 32:
        why = f"Vandermonde: m={m} should be less/equal than 32 : revert to k=32"
    elif m > 4:
        why = f"Vandermonde: m={m} should be less than 5 to guarantee an MDS codec: revert to m=4"
    elif m == 4 and k > 21:
        why = (
            f"Vandermonde: k={k} should be less than 22 to guarantee an MDS codec with m=4: "
            "revert to k=21"
        )
    if why:
        raise Failure(errno.EINVAL, why)
    return found


_PLUGINS: Final[dict[str, Callable[[Profile], dict[str, str]]]] = {
    "jerasure": _jerasure,
    "isa": _isa,
}


def _refuse_technique(name: str, known: str) -> NoReturn:
    if name in _NOT_HERE:
        raise Failure(errno.EOPNOTSUPP, f"technique={name} is not there")
    raise Failure(
        errno.ENOENT,
        f"technique={name} is not a valid coding technique.  Choose one of the following: {known}",
    )


def _integer(found: dict[str, str], key: str, usual: str) -> int:
    """A number of the profile, filled in where it says none."""
    text = found[key] = found.get(key) or usual
    if not _INTEGER.fullmatch(text):
        why = f"Expected option value to be integer, got '{text}', set to default {usual}"
        raise Failure(errno.EINVAL, f"could not convert {key}={text} to int because {why}")
    return int(text)


def _judge_sizes(k: int, m: int) -> None:
    if k < 2:
        raise Failure(errno.EINVAL, f"k={k} must be >= 2")
    if m < 1:
        raise Failure(errno.EINVAL, f"m={m} must be >= 1")


def _judge_unit(profile: Profile, *, force: bool) -> None:
    unit = _bytes(profile["stripe_unit"])
    filled = _filled_up(profile, unit)
    if filled != unit:
        why = f"stripe_unit {unit} does not match ec profile alignment. Would be padded to {filled}"
        raise Failure(errno.EINVAL, why)
    if unit % _BEST and not force:
        why = f"stripe_unit should be a multiple of {_BEST} bytes for best performance."
        raise Failure(errno.EINVAL, f"{why}use --force to override this check")


def _filled_up(profile: Profile, unit: int) -> int:
    alignment = 128 if profile.get(_PER_CHUNK) in ("yes", "true") else 32
    return -(-unit // alignment) * alignment


def _bytes(text: str) -> int:
    """A number with a unit. Raises Failure."""
    digits = re.match(r"[\d+-]*", text)
    number = digits[0] if digits else ""
    unit = text[len(number) :]
    why = ""
    if not text:
        why = "strict_iecstrtoll: value not specified"
    elif len(unit) > 2 or unit == "Bi":
        why = "strict_iecstrtoll: illegal prefix (length > 2)"
    elif unit and unit[0] not in _UNITS:
        why = "strict_iecstrtoll: unit prefix not recognized"
    elif not _INTEGER.fullmatch(number):
        why = f"Expected option value to be integer, got '{number}'"
    if why:
        raise Failure(errno.EINVAL, f"could not parse stripe_unit '{text}': {why}")
    return int(number) << 10 * (_UNITS.index(unit[0]) if unit else 0)
