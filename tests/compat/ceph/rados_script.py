# SPDX-License-Identifier: Apache-2.0
"""What Debian's python3-rados can do, run by the system's own python: CONF, then asserts."""

import json
import sys
import threading

import rados

cluster = rados.Rados(conffile=sys.argv[1])
cluster.connect(timeout=10)
assert not cluster.pool_exists("script")
cluster.create_pool("script")
assert "script" in cluster.list_pools()
io = cluster.open_ioctx("script")

io.write_full("a", b"hello")
io.append("a", b" there")
io.write("a", b"H", 0)
assert io.read("a") == b"Hello there"
assert io.stat("a")[0] == 11
io.trunc("a", 5)
assert io.read("a") == b"Hello"
io.set_xattr("a", "colour", b"red")
assert dict(io.get_xattrs("a")) == {"colour": b"red"}
io.rm_xattr("a", "colour")

waiting = [io.aio_write_full(f"o{number}", b"z" * 100) for number in range(50)]
for one in waiting:
    one.wait_for_complete_and_cb()
assert {one.get_return_value() for one in waiting} == {0}
assert len(list(io.list_objects())) == 51

with rados.WriteOpCtx() as write:
    io.set_omap(write, ("k1", "k2"), (b"1", b"2"))
    io.operate_write_op(write, "a")
with rados.ReadOpCtx() as read:
    found, _ = io.get_omap_vals(read, "", "", 10)
    io.operate_read_op(read, "a")
    assert list(found) == [("k1", b"1"), ("k2", b"2")]

heard = threading.Event()
watch = io.watch("a", lambda *_: heard.set())
assert io.notify("a", "hi")
assert heard.wait(10)
watch.close()

io.lock_exclusive("a", "lock", "cookie")
try:
    io.lock_exclusive("a", "lock", "other")
    raise AssertionError("two have the lock")
except rados.ObjectExists:
    pass
except rados.ObjectBusy:
    pass
io.unlock("a", "lock", "cookie")

snap = io.create_self_managed_snap()
io.remove_self_managed_snap(snap)
io.set_namespace("other")
assert list(io.list_objects()) == []
io.set_namespace("")

assert cluster.get_cluster_stats()["kb"] > 0
code, output, _ = cluster.mon_command(json.dumps({"prefix": "osd stat", "format": "json"}), b"")
assert code == 0
assert json.loads(output)["num_up_osds"] == 2
code, _, status = cluster.mon_command(json.dumps({"prefix": "no such"}), b"")
assert code == -22, status
assert json.loads(cluster.ping_monitor("a"))["health"]["status"]
io.remove_object("a")
try:
    io.read("a")
    raise AssertionError("read what is not there")
except rados.ObjectNotFound:
    pass
io.close()
cluster.delete_pool("script")
assert "script" not in cluster.list_pools()
cluster.shutdown()
print("done")
