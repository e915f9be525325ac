# SPDX-License-Identifier: Apache-2.0
"""From text to a map, byte by byte what `crushtool -c` of Ceph 16.2 makes."""

import re
import struct
from collections.abc import Callable
from itertools import pairwise

import msgspec

from octostack.base.errors import Invalid
from octostack.engines.ceph.core.crush import classes, names
from octostack.engines.ceph.core.crush.draft import Draft
from octostack.engines.ceph.core.crush.text import decompile
from octostack.wire.ceph.maps import crush as wire
from octostack.wire.ceph.maps.crush import Bucket, ChooseArg, CrushMap, Rule, Step, Tunables

DEVICE_WEIGHT_MAX = 10_000 * 0x10000
BUCKET_WEIGHT_MAX = 0xFFFFFFFF
_TOKEN = re.compile(r"[{}\[\]]|[^\s{}\[\]]+")
_ALGORITHMS = {name: number for number, name in wire.ALGORITHM_NAMES.items()}
_RULE_TYPES = {name: number for number, name in decompile.RULE_TYPES.items()}
_SETTERS = {name: op for op, name in decompile.SETTERS.items()}
_CHOOSERS = {name: op for op, name in decompile.CHOOSERS.items()}


def compile_text(text: str) -> CrushMap:
    """The map that a text describes. Raises Invalid with the line it cannot read."""
    return _Compiler(_Tokens(text)).run()


class _Tokens:
    """The words of a text, comments left out, each with its line."""

    def __init__(self, text: str) -> None:
        self.words = [
            (match.group(), number)
            for number, line in enumerate(text.splitlines(), 1)
            for match in _TOKEN.finditer(line.split("#", 1)[0])
        ]
        self.at = 0

    def peek(self) -> str:
        """The next word; empty at the end."""
        return self.words[self.at][0] if self.at < len(self.words) else ""

    def take(self, *expected: str) -> str:
        """The next word, which must be one of `expected` if any are given."""
        word = self.peek()
        if not word or (expected and word not in expected):
            wanted = " or ".join(f"'{each}'" for each in expected) or "more"
            raise self.error(f"{wanted} expected at '{word}'")
        self.at += 1
        return word

    def took(self, word: str) -> bool:
        """Whether the next word is this one, which is then passed."""
        if self.peek() != word:
            return False
        self.at += 1
        return True

    def number(self) -> int:
        """A whole number."""
        word = self.take()
        try:
            return int(word)
        except ValueError:
            raise self.error(f"a number expected at '{word}'") from None

    def weight(self) -> int:
        """A number as 16.16 fixed point, by way of C floats."""
        word = self.take()
        try:
            value = float(word)
            (single,) = struct.unpack("<f", struct.pack("<f", value))
            (product,) = struct.unpack("<f", struct.pack("<f", single * 65536))
        except (ValueError, OverflowError):
            raise self.error(f"a weight expected at '{word}'") from None
        return int(product)

    def error(self, message: str) -> Invalid:
        """What to raise: the message and the line."""
        line = self.words[min(max(self.at, 1), len(self.words)) - 1][1] if self.words else 0
        return Invalid(f"line {line}: {message}", code="crush.text", line=line)


class _Compiler:
    def __init__(self, tokens: _Tokens) -> None:
        self.tokens = tokens
        self.draft = Draft(CrushMap(tunables=Tunables()))
        self.items: dict[str, int] = {}
        self.types: dict[str, int] = {}
        self.weights: dict[int, int] = {}  # of buckets
        self.shadows: dict[int, dict[int, int]] = {}
        self.reserved = self._ids()

    def run(self) -> CrushMap:
        """Read all of it."""
        statements: dict[str, Callable[[], None]] = {
            "tunable": self._tunable,
            "device": self._device,
            "type": self._type,
            "rule": self._rule,
            "choose_args": self._choose_args,
        }
        saw_rule = False
        while word := self.tokens.peek():
            if word == "rule" and not saw_rule:
                saw_rule = True
                classes.populate(self.draft, self.shadows)
            if word in statements and not (word == "type" and saw_rule):
                self.tokens.take()
                statements[word]()
            elif saw_rule:
                raise self.tokens.error("buckets must be defined before rules")
            else:
                self._bucket()
        return self._finished()

    def _finished(self) -> CrushMap:
        draft = self.draft
        devices = [item for bucket in draft.all() for item in bucket.items]
        draft.max_devices = max([*devices, *draft.names, -1]) + 1
        return draft.done()

    def _ids(self) -> set[int]:
        """Bucket ids that the text gives anywhere."""
        words = [word for word, _ in self.tokens.words]
        return {
            int(after)
            for word, after in pairwise(words)
            if word == "id" and re.fullmatch(r"-\d+", after)
        }

    def _tunable(self) -> None:
        name = self.tokens.take()
        if name not in Tunables.__struct_fields__:
            raise self.tokens.error(f"tunable {name} not recognized")
        value = {name: self.tokens.number()}
        self.draft.tunables = msgspec.structs.replace(self.draft.tunables, **value)

    def _device(self) -> None:
        item = self.tokens.number()
        name = self._new_name()
        self.items[name] = item
        self.draft.names[item] = name
        if self.tokens.took("class"):
            self.draft.classes[item] = classes.class_id(self.draft, self.tokens.take())

    def _new_name(self) -> str:
        name = names.check(self.tokens.take())
        if name in self.items:
            raise self.tokens.error(f"item {name} defined twice")
        return name

    def _type(self) -> None:
        number = self.tokens.number()
        name = self.tokens.take()
        self.types[name] = number
        self.draft.type_names[number] = name

    def _bucket(self) -> None:
        tokens = self.tokens
        kind = tokens.take()
        if kind not in self.types:
            raise tokens.error(f"bucket type '{kind}' is not defined")
        name = self._new_name()
        tokens.take("{")
        number, alg, hash_kind = 0, 0, 0
        shadows: dict[int, int] = {}
        members: list[tuple[int, int, int | None]] = []
        while not tokens.took("}"):
            word = tokens.take("id", "alg", "hash", "item")
            if word == "id":
                given = tokens.number()
                if tokens.took("class"):
                    shadows[classes.class_id(self.draft, tokens.take())] = given
                else:
                    number = given
            elif word == "alg":
                alg = _ALGORITHMS[tokens.take(*_ALGORITHMS)]
            elif word == "hash":
                given_hash = tokens.take()
                hash_kind = int(given_hash) if given_hash.isdigit() else 0
            else:
                members.append(self._member(name))
        if not alg:
            raise tokens.error(f"bucket '{name}' has no alg")
        if alg == wire.UNIFORM and len({weight for _, weight, _ in members}) > 1:
            raise tokens.error(f"items of the uniform bucket '{name}' must all weigh the same")
        self._put(name, Bucket(number, self.types[kind], alg, hash_kind), members, shadows)

    def _member(self, bucket: str) -> tuple[int, int, int | None]:
        """An item of a bucket: (id, weight, place or None)."""
        tokens = self.tokens
        name = tokens.take()
        if name not in self.items:
            raise tokens.error(f"item '{name}' in bucket '{bucket}' is not defined")
        item = self.items[name]
        weight = self.weights.get(item, 0x10000)
        place = None
        while tokens.peek() in ("weight", "pos"):
            if tokens.take() == "pos":
                place = tokens.number()
                continue
            weight = tokens.weight()
            if not 0 <= weight <= (DEVICE_WEIGHT_MAX if item >= 0 else BUCKET_WEIGHT_MAX):
                raise tokens.error(f"the weight of '{name}' is out of range")
        return item, weight, place

    def _put(
        self,
        name: str,
        shape: Bucket,
        members: list[tuple[int, int, int | None]],
        shadows: dict[int, int],
    ) -> None:
        given = [place for _, _, place in members if place is not None]
        size = max([len(members), *given])
        if len(set(given)) < len(given) or any(not 0 <= place < size for place in given):
            raise self.tokens.error(f"places in bucket '{name}' are taken twice or out of range")
        free = iter([place for place in range(size) if place not in given])
        items, weights = [0] * size, [0] * size
        for item, weight, place in members:
            at = next(free) if place is None else place
            items[at], weights[at] = item, weight
        number = shape.id or self._free_id()
        self.reserved.add(number)
        shape = msgspec.structs.replace(shape, id=number)
        self.draft.add_bucket(shape, items, weights)
        self.draft.names[number] = name
        self.items[name] = number
        self.weights[number] = sum(weights)
        if shadows:
            self.shadows[number] = shadows

    def _free_id(self) -> int:
        number = -1
        while number in self.reserved:
            number -= 1
        return number

    def _rule(self) -> None:
        tokens = self.tokens
        name = "" if tokens.peek() == "{" else tokens.take()
        if name and name in self.draft.rule_names.values():
            raise tokens.error(f"rule name '{name}' already defined")
        tokens.take("{")
        tokens.take("id", "ruleset")
        number = tokens.number()
        tokens.take("type")
        kind = _RULE_TYPES[tokens.take(*_RULE_TYPES)]
        tokens.take("min_size")
        min_size = tokens.number()
        tokens.take("max_size")
        max_size = tokens.number()
        steps = []
        while not tokens.took("}"):
            tokens.take("step")
            steps.append(self._step(name))
        rules = self.draft.rules
        rules += [None] * (number + 1 - len(rules))
        if rules[number]:
            raise tokens.error(f"rule {number} already exists")
        rules[number] = Rule(number, kind, min_size, max_size, tuple(steps))
        if name:
            self.draft.rule_names[number] = name

    def _step(self, rule: str) -> Step:
        tokens = self.tokens
        word = tokens.take("take", "emit", "noop", "choose", "chooseleaf", *_SETTERS)
        if word in _SETTERS:
            return Step(_SETTERS[word], tokens.number())
        if word == "emit":
            return Step(wire.EMIT)
        if word == "noop":
            return Step(0)
        if word == "take":
            return Step(wire.TAKE, self._taken(rule))
        op = _CHOOSERS[f"{word} {tokens.take('firstn', 'indep')}"]
        number = tokens.number()
        tokens.take("type")
        kind = tokens.take()
        if kind not in self.types:
            raise tokens.error(f"in rule '{rule}' type '{kind}' not defined")
        return Step(op, number, self.types[kind])

    def _taken(self, rule: str) -> int:
        tokens = self.tokens
        name = tokens.take()
        if name not in self.items:
            raise tokens.error(f"in rule '{rule}' item '{name}' not defined")
        item = self.items[name]
        if not tokens.took("class"):
            return item
        class_name = tokens.take()
        number = names.find_class(self.draft.done(), class_name)
        shadow = self.draft.class_buckets.get(item, {}).get(-1 if number is None else number)
        if shadow is None:
            raise tokens.error(f"in rule '{rule}' '{name}' has nothing of class '{class_name}'")
        return shadow

    def _choose_args(self) -> None:
        tokens = self.tokens
        number = tokens.number()
        number = -1 if number >= 1 << 63 else number
        if number in self.draft.choose_args:
            raise tokens.error(f"choose_args {number} duplicated")
        args: dict[int, ChooseArg] = {}
        tokens.take("{")
        while not tokens.took("}"):
            tokens.take("{")
            tokens.take("bucket_id")
            item = tokens.number()
            bucket = self.draft.find(item)
            if bucket is None:
                raise tokens.error(f"bucket {item} does not exist")
            args[item] = self._choose_arg(len(bucket.items))
        self.draft.choose_args[number] = args

    def _choose_arg(self, size: int) -> ChooseArg:
        tokens = self.tokens
        weight_set: list[tuple[int, ...]] = []
        ids: tuple[int, ...] = ()
        while not tokens.took("}"):
            if tokens.take("weight_set", "ids") == "ids":
                ids = self._bracketed(tokens.number, size)
                continue
            tokens.take("[")
            while not tokens.took("]"):
                weight_set.append(self._bracketed(tokens.weight, size))
        return ChooseArg(tuple(weight_set), ids)

    def _bracketed(self, read: Callable[[], int], size: int) -> tuple[int, ...]:
        self.tokens.take("[")
        values = []
        while not self.tokens.took("]"):
            values.append(read())
        if len(values) != size:
            raise self.tokens.error(f"{size} values needed, {len(values)} given")
        return tuple(values)
