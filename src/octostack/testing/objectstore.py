# SPDX-License-Identifier: Apache-2.0
"""A plain model of an object store, and random changes of both."""

import random
from typing import TypeAlias

from octostack.engines.ceph.osd.objectstore import api
from octostack.wire.ceph.objects import HObject, ShardPG


class Model:
    """An object store without a thought for space or time."""

    def __init__(self) -> None:
        self.data: dict[HObject, bytearray] = {}
        self.attrs: dict[HObject, dict[bytes, bytes]] = {}
        self.omap: dict[HObject, dict[bytes, bytes]] = {}

    def state(self) -> dict[HObject, tuple[bytes, dict[bytes, bytes]]]:
        """As `dump` gives it of a store."""
        return {name: (bytes(data), dict(self.omap[name])) for name, data in self.data.items()}

    def touch(self, name: HObject) -> None:
        self.data.setdefault(name, bytearray())
        self.attrs.setdefault(name, {})
        self.omap.setdefault(name, {})

    def write(self, name: HObject, at: int, data: bytes) -> None:
        self.touch(name)
        body = self.data[name]
        if len(body) < at + len(data):
            body.extend(bytes(at + len(data) - len(body)))
        body[at : at + len(data)] = data

    def remove(self, name: HObject) -> None:
        for part in (self.data, self.attrs, self.omap):
            part.pop(name, None)

    def clone(self, name: HObject, target: HObject) -> None:
        if name in self.data:
            self.remove(target)
            self.write(target, 0, bytes(self.data[name]))
            self.attrs[target] = dict(self.attrs[name])
            self.omap[target] = dict(self.omap[name])


NAMES = [HObject(b"n%d" % n, hash=n, snap=1, pool=1) for n in range(6)]


def draw(rng: random.Random, model: Model, where: ShardPG) -> list[api.Change]:
    """A random change, applied to the model too."""
    name, target = rng.sample(NAMES, 2)
    at = rng.choice((0, 4096, 65536, rng.randrange(300_000)))
    length = rng.choice((1, 100, 4096, 65536, 200_000, rng.randrange(1, 9000)))
    match rng.randrange(10):
        case 0 | 1 | 2:
            data = rng.randbytes(length)
            model.write(name, at, data)
            return [api.Write(where, name, at, data)]
        case 3:
            model.write(name, at, bytes(length))
            return [api.Zero(where, name, at, length)]
        case 4:
            model.touch(name)
            body = model.data[name]
            body.extend(bytes(max(0, at - len(body))))
            del body[at:]
            return [api.Truncate(where, name, at)]
        case 5:
            model.remove(name)
            return [api.Remove(where, name)]
        case 6:
            model.clone(name, target)
            return [api.Clone(where, name, target)]
        case 7:
            to = rng.choice((50, 0, 8192))
            if name in model.data:
                part = bytes(model.data[name][at : at + length])
                model.write(target, to, part)
            return [api.CloneRange(where, name, target, at, length, to)]
        case 8:
            entries = {b"%d" % rng.randrange(40): rng.randbytes(30) for _ in range(5)}
            model.touch(name)
            model.omap[name].update(entries)
            gone = [b"%d" % rng.randrange(40)]
            model.omap[name].pop(gone[0], None)
            return [api.OmapSet(where, name, entries), api.OmapRemove(where, name, gone)]
        case _:
            if name in model.data:
                model.clone(name, target)
                model.remove(name)
            return [api.Move(where, name, target), api.Remove(where, name)]


def dump(store: api.ObjectStore, where: ShardPG) -> dict[HObject, tuple[bytes, dict[bytes, bytes]]]:
    """Bytes and omap of every object of a collection."""
    return {
        name: (store.read(where, name), dict(store.omap_list(where, name)))
        for name in store.list_objects(where)
    }


Content: TypeAlias = dict[HObject, tuple[bytes, dict[bytes, bytes], dict[bytes, bytes], bytes]]


def content_of(store: api.ObjectStore, where: ShardPG) -> Content:
    """All that a copy has: of each object data, attributes, omap and its header."""
    return {
        what: (
            store.read(where, what),
            dict(store.attrs(where, what)),
            dict(store.omap_list(where, what)),
            store.omap_header(where, what),
        )
        for what in store.list_objects(where)
        if what.name
    }
