#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Objects with clones for two snapshots, by librados: of the pool, or the client's own.

    snap_script.py CONF POOL fill|fill-own|check COUNT
    snap_script.py CONF POOL remove-own first|second

Of the first snapshot each object has a clone, of the second every other one; what was there for
both is told by its contents. It runs under Debian's own Python, which has `rados`.
"""

import sys

import rados

NUMBERS = "snapshots"  # object that says what the client's own snapshots are


def fill(ioctx, count, own):
    taken = []
    for step, name in enumerate(("zero", "first", "second")):
        if step and own:
            taken.insert(0, ioctx.create_self_managed_snap())
            ioctx.set_self_managed_snap_write(taken)
        elif step:
            ioctx.create_snap(name)
        for number in range(0, count, 2 if step == 2 else 1):
            ioctx.write_full(f"o{number}", f"{name} {number} ".encode() * 100)
    ioctx.write_full(NUMBERS, " ".join(map(str, reversed(taken))).encode())


def check(ioctx, count):
    for number in range(count):
        name = "first" if number % 2 else "second"
        expected = f"{name} {number} ".encode() * 100
        assert ioctx.read(f"o{number}") == expected, number


def main():
    conf, pool, what, which = sys.argv[1:]
    with rados.Rados(conffile=conf) as cluster, cluster.open_ioctx(pool) as ioctx:
        if what == "check":
            check(ioctx, int(which))
        elif what == "remove-own":
            first, second = map(int, ioctx.read(NUMBERS).split())
            ioctx.remove_self_managed_snap(first if which == "first" else second)
        else:
            fill(ioctx, int(which), own=what == "fill-own")


main()
