# SPDX-License-Identifier: Apache-2.0
"""The CRUSH map: a tree of buckets with devices as leaves, and rules that walk it.

Unversioned: an old map merely ends earlier. `CrushMap.sections` counts the optional sections that
are there, and what a newer release adds at the end is kept as it came, so writing gives the same
bytes again. Weights are 16.16 fixed point. (CrushWrapper::encode of Ceph 16.2.)
"""

import struct
from itertools import chain

import msgspec

from octostack.wire.ceph.codec import Malformed, Reader, Writer

MAGIC = 0x00010000
UNIFORM, LIST, TREE, STRAW, STRAW2 = 1, 2, 3, 4, 5
ALGORITHM_NAMES = {UNIFORM: "uniform", LIST: "list", TREE: "tree", STRAW: "straw", STRAW2: "straw2"}

TAKE, CHOOSE_FIRSTN, CHOOSE_INDEP, EMIT = 1, 2, 3, 4
CHOOSELEAF_FIRSTN, CHOOSELEAF_INDEP = 6, 7
SET_CHOOSE_TRIES, SET_CHOOSELEAF_TRIES = 8, 9
SET_CHOOSE_LOCAL_TRIES, SET_CHOOSE_LOCAL_FALLBACK_TRIES = 10, 11
SET_CHOOSELEAF_VARY_R, SET_CHOOSELEAF_STABLE = 12, 13

ITEM_NONE = 0x7FFFFFFF  # no device for this place
ONE = 0x10000  # weight 1.0
SECTIONS = 8  # optional sections that release 16.2 writes

_BUCKET = struct.Struct("<iHBBII")
_MASK = struct.Struct("<IBBBB")
_STEP = struct.Struct("<Iii")


class Bucket(msgspec.Struct, frozen=True):
    """An inner node. `weights` has the weight of each item, `extra` what the algorithm adds.

    `extra` is, of uniform, the one weight of all; of list, sums; of tree, nodes; of straw, lengths.
    """

    id: int
    type: int
    alg: int = STRAW2
    hash: int = 0
    weight: int = 0
    items: tuple[int, ...] = ()
    weights: tuple[int, ...] = ()
    extra: tuple[int, ...] = ()


class Step(msgspec.Struct, frozen=True):
    """One step of a rule."""

    op: int
    arg1: int = 0
    arg2: int = 0


class Rule(msgspec.Struct, frozen=True):
    """How a pool's placement groups find devices. `type` is 1 replicated, 3 erasure-coded."""

    ruleset: int
    type: int
    min_size: int
    max_size: int
    steps: tuple[Step, ...]


class Tunables(msgspec.Struct, frozen=True):
    """Behaviour that changed over time. The defaults are those of maps that do not say."""

    choose_local_tries: int = 2
    choose_local_fallback_tries: int = 5
    choose_total_tries: int = 19
    chooseleaf_descend_once: int = 0
    chooseleaf_vary_r: int = 0
    straw_calc_version: int = 0
    allowed_bucket_algs: int = 1 << UNIFORM | 1 << LIST | 1 << STRAW
    chooseleaf_stable: int = 0


class ChooseArg(msgspec.Struct, frozen=True):
    """Other weights, per position, and other ids for one bucket's draws."""

    weight_set: tuple[tuple[int, ...], ...] = ()
    ids: tuple[int, ...] = ()


class CrushMap(msgspec.Struct, frozen=True):
    """A whole map. Bucket -1-n is in slot n; a slot or a rule may be empty."""

    buckets: tuple[Bucket | None, ...] = ()
    rules: tuple[Rule | None, ...] = ()
    max_devices: int = 0
    type_names: dict[int, str] = msgspec.field(default_factory=dict)
    names: dict[int, str] = msgspec.field(default_factory=dict)
    rule_names: dict[int, str] = msgspec.field(default_factory=dict)
    tunables: Tunables = Tunables()
    classes: dict[int, int] = msgspec.field(default_factory=dict)  # item -> class
    class_names: dict[int, str] = msgspec.field(default_factory=dict)
    class_buckets: dict[int, dict[int, int]] = msgspec.field(default_factory=dict)  # shadow trees
    choose_args: dict[int, dict[int, ChooseArg]] = msgspec.field(default_factory=dict)
    sections: int = SECTIONS
    newer: bytes = b""

    def find_bucket(self, item: int) -> Bucket | None:
        """The bucket with this id, if there is one."""
        return self.buckets[-1 - item] if -1 - len(self.buckets) < item < 0 else None


def decode(data: bytes | memoryview) -> CrushMap:
    """A map from its blob. Raises Malformed."""
    r = Reader(data)
    if (magic := r.u32()) != MAGIC:
        raise Malformed(f"not a CRUSH map: magic {magic:#x}")
    slots, rules, max_devices = r.u32(), r.u32(), r.s32()
    if 4 * (slots + rules) > r.left:
        raise Malformed(f"{slots} buckets and {rules} rules do not fit {r.left} bytes", r.position)
    buckets = tuple(_read_bucket(r) if r.u32() else None for _ in range(slots))
    rules_ = tuple(_read_rule(r) if r.u32() else None for _ in range(rules))
    types, names, rule_names = (r.map(r.s32, r.string, 8) for _ in range(3))
    tunables, sections = _read_tunables(r)
    classes: dict[int, int] = {}
    class_names: dict[int, str] = {}
    class_buckets: dict[int, dict[int, int]] = {}
    if r.left:
        sections += 1
        classes = r.map(r.s32, r.s32, 8)
        class_names = r.map(r.s32, r.string, 8)
        class_buckets = r.map(r.s32, lambda: r.map(r.s32, r.s32, 8), 8)
    choose_args: dict[int, dict[int, ChooseArg]] = {}
    if r.left:
        sections += 1
        choose_args = r.map(r.s64, lambda: _read_choose_args(r), 12)
    return CrushMap(
        buckets,
        rules_,
        max_devices,
        types,
        names,
        rule_names,
        tunables,
        classes,
        class_names,
        class_buckets,
        choose_args,
        sections,
        r.rest().tobytes(),
    )


def _read_bucket(r: Reader) -> Bucket:
    number, kind, alg, hash_kind, weight, size = r.unpack(_BUCKET)
    items = _many(r, size, "i")
    extra: tuple[int, ...] = ()
    if alg == UNIFORM:
        extra = (r.u32(),)
        weights = extra * size
    elif alg in (LIST, STRAW):
        pairs = _many(r, 2 * size, "I")
        weights, extra = pairs[::2], pairs[1::2]
    elif alg == TREE:
        extra = _many(r, r.u8(), "I")
        weights = extra[1 : 2 * size : 2]
    elif alg == STRAW2:
        weights = _many(r, size, "I")
    else:
        raise Malformed(f"bucket {number} has the unknown algorithm {alg}", r.position)
    return Bucket(number, kind, alg, hash_kind, weight, items, weights, extra)


def _many(r: Reader, count: int, code: str) -> tuple[int, ...]:
    return struct.unpack(f"<{count}{code}", r.take(4 * count))


def _read_rule(r: Reader) -> Rule:
    length, ruleset, kind, min_size, max_size = r.unpack(_MASK)
    if length * _STEP.size > r.left:
        raise Malformed(f"{length} steps do not fit {r.left} bytes", r.position)
    steps = tuple(Step(*r.unpack(_STEP)) for _ in range(length))
    return Rule(ruleset, kind, min_size, max_size, steps)


def _read_tunables(r: Reader) -> tuple[Tunables, int]:
    """The tunables that are there, and in how many sections."""
    readers = (
        (r.u32, ("choose_local_tries", "choose_local_fallback_tries", "choose_total_tries")),
        (r.u32, ("chooseleaf_descend_once",)),
        (r.u8, ("chooseleaf_vary_r",)),
        (r.u8, ("straw_calc_version",)),
        (r.u32, ("allowed_bucket_algs",)),
        (r.u8, ("chooseleaf_stable",)),
    )
    values: dict[str, int] = {}
    sections = 0
    for read, names in readers:
        if not r.left:
            break
        sections += 1
        values |= {name: read() for name in names}
    return Tunables(**values), sections


def _read_choose_args(r: Reader) -> dict[int, ChooseArg]:
    args = {}
    for _ in range(r.count(12)):
        slot = r.u32()
        weight_set = tuple(tuple(r.numbers("I")) for _ in range(r.count(4)))
        args[-1 - slot] = ChooseArg(weight_set, tuple(r.numbers("i")))
    return args


def encode(crush: CrushMap) -> bytes:
    """The blob of a map: of one that was decoded, the bytes it came from."""
    w = Writer()
    w.u32(MAGIC)
    w.u32(len(crush.buckets))
    w.u32(len(crush.rules))
    w.s32(crush.max_devices)
    for bucket in crush.buckets:
        w.u32(bucket.alg if bucket else 0)
        if bucket:
            _write_bucket(w, bucket)
    for rule in crush.rules:
        w.u32(1 if rule else 0)
        if rule:
            _write_rule(w, rule)
    for names in (crush.type_names, crush.names, crush.rule_names):
        w.map(names, w.s32, w.string)
    _write_tunables(w, crush.tunables, crush.sections)
    if crush.sections >= 7:
        w.map(crush.classes, w.s32, w.s32)
        w.map(crush.class_names, w.s32, w.string)
        w.map(crush.class_buckets, w.s32, lambda by_class: w.map(by_class, w.s32, w.s32))
    if crush.sections >= SECTIONS:
        w.map(crush.choose_args, w.s64, lambda args: _write_choose_args(w, args))
    w.raw(crush.newer)
    return w.done()


def _write_bucket(w: Writer, bucket: Bucket) -> None:
    size = len(bucket.items)
    kinds = (bucket.id, bucket.type, bucket.alg, bucket.hash, bucket.weight, size)
    w.pack(_BUCKET, *kinds)
    w.raw(struct.pack(f"<{size}i", *bucket.items))
    if bucket.alg == UNIFORM:
        w.u32(bucket.extra[0])
        return
    if bucket.alg == TREE:
        w.u8(len(bucket.extra) & 0xFF)
        numbers = bucket.extra
    elif bucket.alg == STRAW2:
        numbers = bucket.weights
    else:
        numbers = tuple(chain.from_iterable(zip(bucket.weights, bucket.extra, strict=True)))
    w.raw(struct.pack(f"<{len(numbers)}I", *numbers))


def _write_rule(w: Writer, rule: Rule) -> None:
    w.pack(_MASK, len(rule.steps), rule.ruleset, rule.type, rule.min_size, rule.max_size)
    for step in rule.steps:
        w.pack(_STEP, step.op, step.arg1, step.arg2)


def _write_tunables(w: Writer, tunables: Tunables, sections: int) -> None:
    parts = (
        struct.pack(
            "<3I",
            tunables.choose_local_tries,
            tunables.choose_local_fallback_tries,
            tunables.choose_total_tries,
        ),
        struct.pack("<I", tunables.chooseleaf_descend_once),
        struct.pack("<B", tunables.chooseleaf_vary_r),
        struct.pack("<B", tunables.straw_calc_version),
        struct.pack("<I", tunables.allowed_bucket_algs),
        struct.pack("<B", tunables.chooseleaf_stable),
    )
    w.raw(b"".join(parts[:sections]))


def _write_choose_args(w: Writer, args: dict[int, ChooseArg]) -> None:
    used = {-1 - item: arg for item, arg in args.items() if arg.weight_set or arg.ids}
    w.u32(len(used))
    for slot in sorted(used):
        w.u32(slot)
        w.vector(used[slot].weight_set, lambda weights: w.numbers("I", weights))
        w.numbers("i", used[slot].ids)
