# SPDX-License-Identifier: Apache-2.0
"""python3-rados beside our client, run by the system's own python: CONF, then what to do."""

import json
import sys
import threading

import rados

POOL, NAME = "objects", "both"


def write(io: "rados.Ioctx") -> None:
    io.write_full(NAME, b"by librados")
    io.set_xattr(NAME, "colour", b"red")
    with rados.WriteOpCtx() as op:
        io.set_omap(op, ("k1", "k2"), (b"1", b"2"))
        io.operate_write_op(op, NAME)
    io.set_namespace("space")
    io.set_locator_key("key")
    io.write_full("placed", b"elsewhere")
    io.set_namespace("")
    io.set_locator_key("")
    io.lock_exclusive(NAME, "lock", "cookie", desc="held by librados")
    for number in range(100):
        io.write_full(f"theirs{number}", b"%d" % number)
    snap = io.create_self_managed_snap()
    io.set_self_managed_snap_write([snap])
    io.write_full(NAME, b"after the snapshot")
    print(json.dumps({"snap": snap}))


def check(io: "rados.Ioctx") -> None:
    assert io.read(NAME) == b"by us"
    assert dict(io.get_xattrs(NAME))["shape"] == b"round"
    with rados.ReadOpCtx() as op:
        found, _ = io.get_omap_vals(op, "", "", 10)
        io.operate_read_op(op, NAME)
        assert list(found) == [("a", b"1"), ("b", bytes(range(256)))]
    names = {one.key for one in io.list_objects()}
    assert {f"ours{number}" for number in range(100)} <= names
    io.set_namespace("space")
    io.set_locator_key("other key")
    assert io.read("placed by us") == b"here"
    io.set_namespace("")
    io.set_locator_key("")
    io.set_read(int(sys.argv[3]))
    assert io.read(NAME) == b"by us, before"
    io.set_read(rados.LIBRADOS_SNAP_HEAD)
    try:
        io.lock_exclusive(NAME, "lock", "theirs")
        raise AssertionError("two have the lock")
    except rados.ObjectBusy:
        pass
    print("done")


def watch(io: "rados.Ioctx") -> None:
    heard = threading.Event()
    payloads = []

    def hear(_notify: int, _notifier: int, _watch: int, data: bytes) -> None:
        payloads.append(data)
        heard.set()

    with io.watch(NAME, hear):
        print("watching", flush=True)
        assert heard.wait(60)
        sys.stdin.readline()  # the answer goes out after the call: do not unwatch before it
    print(payloads[0].decode())


def notify(io: "rados.Ioctx") -> None:
    assert io.notify(NAME, "from librados")
    print("told")


with rados.Rados(conffile=sys.argv[1]) as cluster:
    cluster.wait_for_latest_osdmap()
    with cluster.open_ioctx(POOL) as ioctx:
        {"write": write, "check": check, "watch": watch, "notify": notify}[sys.argv[2]](ioctx)
