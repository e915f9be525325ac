# SPDX-License-Identifier: Apache-2.0
"""Walking a rule's steps: from an input to the devices that hold it (crush_do_rule)."""

from collections.abc import Mapping, Sequence

import msgspec

from octostack.engines.ceph.core.crush.draw import Draw
from octostack.engines.ceph.core.crush.firstn import Firstn, Tries
from octostack.engines.ceph.core.crush.indep import Indep
from octostack.wire.ceph.maps import crush as wire
from octostack.wire.ceph.maps.crush import ChooseArg, CrushMap, Step

DEFAULT_CHOOSE_ARGS = -1  # the weight set of all pools that have none of their own


class Settings(msgspec.Struct):
    """What a rule may set for the steps that follow."""

    total: int
    leaf: int
    local: int
    local_fallback: int
    vary_r: int
    stable: int

    @classmethod
    def of(cls, crush: CrushMap) -> "Settings":
        """As the map's tunables have them. Ceph counted retries where it now counts tries."""
        t = crush.tunables
        return cls(
            t.choose_total_tries + 1,
            0,
            t.choose_local_tries,
            t.choose_local_fallback_tries,
            t.chooseleaf_vary_r,
            t.chooseleaf_stable,
        )

    def change(self, step: Step) -> bool:
        """Apply a `set_` step; False when it is another kind of step."""
        if step.op not in _SETTERS:
            return False
        name, least = _SETTERS[step.op]
        if step.arg1 >= least:
            setattr(self, name, step.arg1)
        return True


_SETTERS = {
    wire.SET_CHOOSE_TRIES: ("total", 1),
    wire.SET_CHOOSELEAF_TRIES: ("leaf", 1),
    wire.SET_CHOOSE_LOCAL_TRIES: ("local", 0),
    wire.SET_CHOOSE_LOCAL_FALLBACK_TRIES: ("local_fallback", 0),
    wire.SET_CHOOSELEAF_VARY_R: ("vary_r", 0),
    wire.SET_CHOOSELEAF_STABLE: ("stable", 0),
}
FIRSTN = frozenset({wire.CHOOSE_FIRSTN, wire.CHOOSELEAF_FIRSTN})
LEAF = frozenset({wire.CHOOSELEAF_FIRSTN, wire.CHOOSELEAF_INDEP})
CHOOSE = FIRSTN | LEAF | {wire.CHOOSE_INDEP}


def map_input(
    crush: CrushMap,
    rule_id: int,
    x: int,
    size: int,
    reweights: Sequence[int],
    args: Mapping[int, ChooseArg] | None = None,
) -> list[int]:
    """At most `size` devices for the input `x`; ITEM_NONE where an indep rule finds none.

    An unknown rule gives nothing. `args` are the choose_args to use, see `choose_args`.
    """
    rule = crush.rules[rule_id] if 0 <= rule_id < len(crush.rules) else None
    if rule is None:
        return []
    draw = Draw(crush, x, reweights, args)
    settings = Settings.of(crush)
    work: list[int] = []
    result: list[int] = []
    for step in rule.steps:
        if step.op == wire.TAKE:
            if can_take(crush, step.arg1):
                work = [step.arg1]
        elif step.op == wire.EMIT:
            result += work[: size - len(result)]
            work = []
        elif step.op in CHOOSE:
            work = _choose(draw, step, settings, work, size) if work else work
        else:
            settings.change(step)
    return result


def can_take(crush: CrushMap, item: int) -> bool:
    """Whether a rule may start at this item."""
    if item >= 0:
        return item < crush.max_devices
    return crush.find_bucket(item) is not None


def _choose(draw: Draw, step: Step, s: Settings, work: list[int], size: int) -> list[int]:
    wanted = step.arg1 if step.arg1 > 0 else step.arg1 + size
    leaf = step.op in LEAF
    out: list[int] = []
    for item in work:
        bucket = draw.bucket(item)
        if bucket is None or wanted <= 0:
            continue
        room = size - len(out)
        if step.op in FIRSTN:
            once = 1 if draw.crush.tunables.chooseleaf_descend_once else s.total
            tries = Tries(s.total, s.leaf or once, s.local, s.local_fallback, s.vary_r, s.stable)
            chosen, leaves = Firstn(draw, tries, step.arg2, leaf).choose(bucket, wanted, room)
        else:
            leaf_tries = (s.leaf or 1) if leaf else None
            indep = Indep(draw, step.arg2, wanted, s.total, leaf_tries)
            chosen, leaves = indep.choose(bucket, min(wanted, room))
        out += leaves if leaf else chosen
    return out


def choose_args(crush: CrushMap, pool: int) -> dict[int, ChooseArg] | None:
    """The choose_args for a pool: its own, else the default ones, else none."""
    return crush.choose_args.get(pool, crush.choose_args.get(DEFAULT_CHOOSE_ARGS))
