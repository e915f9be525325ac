# SPDX-License-Identifier: Apache-2.0
"""Random CRUSH maps, and what the real crushtool makes of them."""

import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from octostack.engines.ceph.core.crush import build, classes
from octostack.engines.ceph.core.crush.draft import Draft
from octostack.wire.ceph.maps import crush as wire
from octostack.wire.ceph.maps.crush import Bucket, ChooseArg, CrushMap, Rule, Step, Tunables

CRUSHTOOL = shutil.which("crushtool")
TYPES = {0: "osd", 1: "host", 2: "rack", 3: "row", 10: "root"}
ALGORITHMS = tuple(wire.ALGORITHM_NAMES)
# Ceph's profiles by name (CrushWrapper::set_tunables_*)
PROFILES = {
    "argonaut": Tunables(2, 5, 19, 0, 0, 0, 22, 0),
    "bobtail": Tunables(0, 0, 50, 1, 0, 0, 22, 0),
    "firefly": Tunables(0, 0, 50, 1, 1, 0, 22, 0),
    "hammer": Tunables(0, 0, 50, 1, 1, 1, 54, 0),
    "jewel": Tunables(0, 0, 50, 1, 1, 1, 54, 1),
}


class Case(msgspec.Struct):
    """A map with the weights by which its devices are in."""

    crush: CrushMap
    reweights: list[int]


def random_case(seed: int) -> Case:
    """A small map: one to three levels, any algorithms, tunables, rules and weight sets."""
    rng = random.Random(seed)
    tunables = rng.choice(list(PROFILES.values()))
    if rng.random() < 0.3:
        tunables = Tunables(
            rng.randrange(4),
            rng.choice((0, 0, 1, 5)),
            rng.choice((1, 5, 19, 50)),
            rng.randrange(2),
            rng.randrange(5),
            rng.randrange(2),
            62,
            rng.randrange(2),
        )
    crush = CrushMap(type_names=dict(TYPES), tunables=tunables)
    crush, root, devices = _random_tree(rng, crush)
    crush = msgspec.structs.replace(crush, max_devices=devices)
    rules = tuple(_random_rule(rng, number, root, crush) for number in range(rng.randint(2, 4)))
    crush = msgspec.structs.replace(
        crush,
        rules=rules,
        rule_names={number: f"rule-{number}" for number in range(len(rules))},
        choose_args=_random_choose_args(rng, crush),
    )
    odds = rng.choice((0.0, 0.1, 0.5))
    reweights = [
        rng.choice((0, rng.randrange(0x10000), 0x10000)) if rng.random() < odds else 0x10000
        for _ in range(devices)
    ]
    return Case(crush, reweights)


def _random_tree(rng: random.Random, crush: CrushMap) -> tuple[CrushMap, int, int]:
    """A tree under one root: (map, the root's id, the number of devices)."""
    levels = rng.choice(([10], [1, 10], [1, 10], [1, 2, 10], [1, 2, 3, 10]))
    one_algorithm = rng.choice((None, *ALGORITHMS, wire.STRAW2))
    below: list[tuple[int, int]] = []
    devices = 0
    for depth, kind in enumerate(levels):
        made: list[tuple[int, int]] = []
        many = 1 if kind == 10 else rng.randint(1, 6) * (len(levels) - depth)
        for number in range(many):
            if depth == 0:
                count = rng.choice((0, 1, 2, 3, 5, 9)) if kind != 10 else rng.randint(1, 12)
                children = [(devices + n, _random_weight(rng)) for n in range(count)]
                devices += count
            else:
                children = below[number::many]
            alg = one_algorithm or rng.choice(ALGORITHMS)
            crush, bucket = _add(rng, crush, kind, alg, children)
            made.append((bucket.id, bucket.weight))
        below = made
    return crush, below[0][0], devices


def _random_weight(rng: random.Random) -> int:
    return rng.choice((0x10000, 0x10000, rng.randrange(0x40000), rng.randrange(0x400000), 0))


def _add(
    rng: random.Random, crush: CrushMap, kind: int, alg: int, children: list[tuple[int, int]]
) -> tuple[CrushMap, Bucket]:
    number = build.free_bucket_id(crush)
    items = [item for item, _ in children]
    weights = [weight for _, weight in children]
    if alg == wire.UNIFORM and weights:
        weights = [weights[0]] * len(weights)
    if alg == wire.TREE:  # a walk must end at an item that weighs something
        weights = [weight or 1 for weight in weights]
    bucket = build.bucket(Bucket(number, kind, alg), items, weights, crush.tunables)
    crush = build.put(crush, bucket)
    names = crush.names | {number: f"{TYPES[kind]}{-number}"}
    names |= {item: f"osd.{item}" for item in items if item >= 0}
    return msgspec.structs.replace(crush, names=names), bucket


def _random_rule(rng: random.Random, number: int, root: int, crush: CrushMap) -> Rule:
    kinds = sorted({bucket.type for bucket in crush.buckets if bucket and bucket.type != 10})
    firstn = rng.random() < 0.5
    choose = wire.CHOOSE_FIRSTN if firstn else wire.CHOOSE_INDEP
    leaf = wire.CHOOSELEAF_FIRSTN if firstn else wire.CHOOSELEAF_INDEP
    steps = [Step(op, rng.choice(values)) for op, values in _SETS if rng.random() < 0.12]
    steps.append(Step(wire.TAKE, root))
    shape = rng.random()
    if len(kinds) >= 2 and shape < 0.3:
        steps.append(Step(choose, rng.choice((0, 1, 2, 3)), kinds[1]))
        steps.append(Step(leaf, rng.choice((0, 1, 2)), kinds[0]))
    elif kinds and shape < 0.5:
        steps.append(Step(choose, rng.choice((0, 2, 3)), kinds[0]))
        steps.append(Step(choose, rng.choice((1, 2)), 0))
    elif kinds and shape < 0.9:
        steps.append(Step(leaf, rng.choice((0, 0, 0, 2, -1)), rng.choice(kinds)))
    else:
        steps.append(Step(rng.choice((choose, leaf)), 0, 0))
    steps.append(Step(wire.EMIT))
    if rng.random() < 0.1:
        steps += [Step(wire.TAKE, root), Step(wire.CHOOSE_FIRSTN, 1, 0), Step(wire.EMIT)]
    return Rule(number, 1 if firstn else 3, 1, 10, tuple(steps))


_SETS = (
    (wire.SET_CHOOSE_TRIES, (1, 10, 100)),
    (wire.SET_CHOOSELEAF_TRIES, (1, 3, 5)),
    (wire.SET_CHOOSE_LOCAL_TRIES, (0, 2)),
    (wire.SET_CHOOSE_LOCAL_FALLBACK_TRIES, (0, 4)),
    (wire.SET_CHOOSELEAF_VARY_R, (0, 1, 3)),
    (wire.SET_CHOOSELEAF_STABLE, (0, 1)),
)


def _random_choose_args(rng: random.Random, crush: CrushMap) -> dict[int, dict[int, ChooseArg]]:
    if rng.random() < 0.7:
        return {}
    positions = rng.randint(1, 3)
    args = {}
    for bucket in crush.buckets:
        if bucket and bucket.alg == wire.STRAW2 and rng.random() < 0.8:
            weights = tuple(
                tuple(rng.randrange(0x30000) for _ in bucket.items) for _ in range(positions)
            )
            ids = tuple(rng.randrange(-1000, 0) for _ in bucket.items)
            args[bucket.id] = ChooseArg(weights, ids if rng.random() < 0.3 else ())
    return {rng.choice((0, -1)): args}


def wide_map(hosts: int, devices_per_host: int, racks: int) -> CrushMap:
    """A regular straw2 tree with the newest tunables and the two rules everybody has."""
    rng = random.Random(hosts)
    crush = CrushMap(type_names=dict(TYPES), tunables=PROFILES["jewel"])
    made: list[tuple[int, int]] = []
    for host in range(hosts):
        first = host * devices_per_host
        weights = [rng.choice((0x8000, 0x10000, 0x18000)) for _ in range(devices_per_host)]
        children = list(zip(range(first, first + devices_per_host), weights, strict=True))
        crush, bucket = _add(rng, crush, 1, wire.STRAW2, children)
        made.append((bucket.id, bucket.weight))
    above = []
    for rack in range(racks):
        crush, bucket = _add(rng, crush, 2, wire.STRAW2, made[rack::racks])
        above.append((bucket.id, bucket.weight))
    crush, root = _add(rng, crush, 10, wire.STRAW2, above)
    leaf = (wire.CHOOSELEAF_FIRSTN, wire.CHOOSELEAF_INDEP)
    rules = tuple(
        Rule(n, kind, 1, 10, (Step(wire.TAKE, root.id), Step(leaf[n], 0, 1), Step(wire.EMIT)))
        for n, kind in enumerate((1, 3))
    )
    return msgspec.structs.replace(
        crush,
        rules=rules,
        rule_names={0: "replicated", 1: "erasure"},
        max_devices=hosts * devices_per_host,
    )


def crushtool(*arguments: str) -> str:
    """What the real tool prints. It must be there: ask `CRUSHTOOL` first."""
    assert CRUSHTOOL
    done = subprocess.run([CRUSHTOOL, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout + done.stderr


def real_mappings(
    path: Path, case: Case, size: int, inputs: int
) -> dict[tuple[int, int], list[int]]:
    """The tool's own results: (rule, input) to devices."""
    path.write_bytes(wire.encode(case.crush))
    weights: list[str] = []
    for device, weight in enumerate(case.reweights):
        if weight != wire.ONE:
            weights += ["--weight", str(device), repr(weight / wire.ONE)]
    span = ["--min-x", "0", "--max-x", str(inputs - 1), "--num-rep", str(size)]
    printed = crushtool("-i", str(path), "--test", "--show-mappings", *span, *weights)
    return parse_mappings(printed)


def parse_mappings(printed: str) -> dict[tuple[int, int], list[int]]:
    """Lines as `CRUSH rule 0 x 1 [2,3]`."""
    found = {}
    for line in printed.splitlines():
        words = line.split()
        if words[:2] == ["CRUSH", "rule"]:
            found[int(words[2]), int(words[4])] = _numbers(words[5])
    return found


def _numbers(text: str) -> list[int]:
    inner = text.strip("[]")
    return [int(number) for number in inner.split(",")] if inner else []


def with_weights(devices: int, out: Sequence[int] = ()) -> list[int]:
    """Weights by which all devices are in, but those named."""
    return [0 if device in out else wire.ONE for device in range(devices)]


def with_classes(crush: CrushMap, seed: int) -> CrushMap:
    """The map with most of its devices in one of two classes."""
    rng = random.Random(seed)
    draft = Draft(crush)
    for device in range(crush.max_devices):
        if device in draft.names and rng.random() < 0.7:
            draft.classes[device] = classes.class_id(draft, rng.choice(("hdd", "ssd")))
    classes.rebuild(draft)
    return draft.done()
