# SPDX-License-Identifier: Apache-2.0
"""What python3-rados can do, step by step: CONF, then a JSON object of what each step came to.

Run by the system's own python, against our cluster and against a real one; the outcomes must be
the same. Nothing in them may depend on time, on chance or on who else uses the cluster.
"""

import json
import sys
import threading
from collections.abc import Callable
from typing import Any

import rados
import user_surface

POOL = "surface"
outcomes: dict[str, Any] = {}
cluster = rados.Rados(conffile=sys.argv[1])
cluster.connect(timeout=20)


def plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in sorted(value.items())}
    return value


def step(name: str, do: Callable[[], Any]) -> None:
    """Do it, and note what came of it: its value, or its error."""
    assert name not in outcomes, name
    try:
        outcomes[name] = plain(do())
    except rados.Error as error:
        outcomes[name] = f"{type(error).__name__} {error.errno}"
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        outcomes[name] = type(error).__name__


def command(**words: Any) -> list[Any]:
    code, output, status = cluster.mon_command(json.dumps(words), b"")
    return [code, len(output) > 0, status if code else ""]


def open_pool() -> rados.Ioctx:
    words = {"prefix": "osd pool create", "pool": POOL, "pg_num": 4, "pgp_num": 4}
    cluster.mon_command(json.dumps(words), b"")
    return cluster.open_ioctx(POOL)


io = open_pool()


def writes(fill: Callable[[rados.WriteOp], None], name: str) -> Callable[[], Any]:
    def run() -> Any:
        with rados.WriteOpCtx() as op:
            fill(op)
            io.operate_write_op(op, name)
        return "done"

    return run


def reads(fill: Callable[[rados.ReadOp], Any], name: str) -> Callable[[], Any]:
    def run() -> Any:
        with rados.ReadOpCtx() as op:
            found = fill(op)
            io.operate_read_op(op, name)
        return list(found[0]) if isinstance(found, tuple) else found

    return run


def waited(start: Callable[..., rados.Completion]) -> Callable[[], Any]:
    """An asynchronous call: its result, and what its callback was given."""

    def run() -> Any:
        given: list[Any] = []
        completion = start(lambda _, *rest: given.extend(rest))
        completion.wait_for_complete_and_cb()
        return [completion.get_return_value(), completion.is_complete(), given]

    return run


def pools() -> None:
    step("create a pool", lambda: cluster.create_pool(POOL + "2"))
    step("create it again", lambda: cluster.create_pool(POOL + "2"))
    step("pool exists", lambda: [cluster.pool_exists(POOL), cluster.pool_exists("nothing")])
    step("pool listed", lambda: POOL in cluster.list_pools())
    step("pool lookup", lambda: cluster.pool_lookup("nothing"))
    number = cluster.pool_lookup(POOL)
    step("pool reverse lookup", lambda: cluster.pool_reverse_lookup(number))
    step("pool reverse lookup of nothing", lambda: cluster.pool_reverse_lookup(987654))
    step("base tier", lambda: cluster.get_pool_base_tier(number) == number)
    step("open what is not there", lambda: cluster.open_ioctx("nothing"))
    step("open by number", lambda: cluster.open_ioctx2(number).get_pool_name())
    step("pool id", lambda: io.get_pool_id() == number)
    step("delete a pool", lambda: cluster.delete_pool(POOL + "2"))
    step("delete what is not there", lambda: cluster.delete_pool(POOL + "2"))
    step("stats", lambda: sorted(io.get_stats()))
    step("cluster stats", lambda: sorted(cluster.get_cluster_stats()))
    step("inconsistent groups", lambda: cluster.get_inconsistent_pgs(POOL))
    step("alignment", io.alignment)


def cluster_wide() -> None:
    step("fsid", lambda: len(cluster.get_fsid()))
    step("instance", lambda: cluster.get_instance_id() > 0)
    step("state", lambda: cluster.state)
    step("conf", lambda: cluster.conf_get("fsid") is not None)
    step("conf of nothing", lambda: cluster.conf_get("no_such_option"))
    step("conf set", lambda: cluster.conf_set("debug_ms", "0/0"))
    step("ping a monitor", lambda: sorted(json.loads(cluster.ping_monitor("a"))))
    step("ping what is not there", lambda: cluster.ping_monitor("zz"))
    step("newest map", cluster.wait_for_latest_osdmap)
    step("mon command", lambda: command(prefix="osd stat", format="json"))
    step("no command", lambda: command(prefix="no such"))
    step("no JSON", lambda: cluster.mon_command("nonsense", b"")[0])
    told = '{"prefix": "version"}'
    step("mon command to a", lambda: cluster.mon_command(told, b"", 10, target="a")[0])
    step("mon command to 0", lambda: cluster.mon_command(told, b"", 10, target=0)[0])
    step("osd command", lambda: cluster.osd_command(0, told, b"")[0])
    step("osd command to nobody", lambda: cluster.osd_command(99, told, b"")[0])
    group = f"{cluster.pool_lookup(POOL)}.0"
    step("pg command", lambda: cluster.pg_command(group, '{"prefix": "query"}', b"")[0])
    step("mgr command", lambda: cluster.mgr_command('{"prefix": "pg stat"}', b"")[0])
    step("blocklist", lambda: cluster.blocklist_add("127.0.0.1:1/1", 60))
    step("blocklist nonsense", lambda: cluster.blocklist_add("nonsense", 60))
    words = {"prefix": "osd blocklist", "blocklistop": "rm", "addr": "127.0.0.1:1/1"}
    step("blocklist no more", lambda: command(**words))
    step("addresses", lambda: "127.0.0.1" in cluster.get_addrs())


def data() -> None:
    step("write full", lambda: io.write_full("o", b"0123456789"))
    step("write", lambda: io.write("o", b"ab", 4))
    step("append", lambda: io.append("o", b"end"))
    step("read", lambda: io.read("o"))
    step("read a range", lambda: io.read("o", 4, 3))
    step("read beyond", lambda: io.read("o", 4, 100))
    step("stat", lambda: io.stat("o")[0])
    step("truncate", lambda: io.trunc("o", 5))
    step("grow", lambda: io.trunc("o", 8))
    step("read grown", lambda: io.read("o"))
    step("write same", lambda: io.writesame("o", b"xy", 6, 1))
    step("write same of odd length", lambda: io.writesame("o", b"xy", 5, 1))
    step("read same", lambda: io.read("o"))
    step("compare", lambda: io.cmpext("o", b"0xy", 0))
    step("compare what differs", lambda: io.cmpext("o", b"0xz", 0))
    step("compare what is not there", lambda: io.cmpext("nothing", b"0xz", 0))
    step("version grows", lambda: (io.read("o"), io.get_last_version() > 0)[1])
    step("remove", lambda: io.remove_object("o"))
    step("remove again", lambda: io.remove_object("o"))
    step("stat nothing", lambda: io.stat("o"))
    step("truncate nothing", lambda: io.trunc("o", 4))
    step("read truncated nothing", lambda: io.read("o"))
    step("write full try", lambda: (io.set_osdmap_full_try(), io.write_full("f", b"1"))[1])
    step("full try no more", io.unset_osdmap_full_try)
    step("name too long", lambda: io.write_full("n" * 3000, b"1"))
    step("far away", lambda: io.write("f", b"1", 1 << 40))


def attributes() -> None:
    io.write_full("x", b"")
    step("set an attribute", lambda: io.set_xattr("x", "a", b"1"))
    step("set another", lambda: io.set_xattr("x", "b", b"\0\1"))
    step("get it", lambda: io.get_xattr("x", "a"))
    step("get what is not there", lambda: io.get_xattr("x", "c"))
    step("get of nothing", lambda: io.get_xattr("nothing", "c"))
    step("all of them", lambda: dict(io.get_xattrs("x")))
    step("remove an attribute", lambda: io.rm_xattr("x", "a"))
    step("remove it again", lambda: io.rm_xattr("x", "a"))
    step("a long name", lambda: io.set_xattr("x", "n" * 300, b"1"))
    step("a large value", lambda: io.set_xattr("x", "large", b"1" * 70_000))

    def lengths() -> Any:
        return {name: len(value) for name, value in rados.Object(io, "x").get_xattrs()}

    step("as an object", lengths)


def omaps() -> None:
    items = {f"k{n}": b"%d" % n for n in range(5)}
    names, values = tuple(items), tuple(items.values())
    step("set omap", writes(lambda op: io.set_omap(op, names, values), "m"))
    step("omap", reads(lambda op: io.get_omap_vals(op, "", "", 10), "m"))
    step("a page of it", reads(lambda op: io.get_omap_vals(op, "k1", "", 2), "m"))
    step("by a prefix", reads(lambda op: io.get_omap_vals(op, "", "k3", 2), "m"))
    step("keys", reads(lambda op: io.get_omap_keys(op, "k2", 2), "m"))
    step("by keys", reads(lambda op: io.get_omap_vals_by_keys(op, ("k1", "no")), "m"))
    step("remove keys", writes(lambda op: io.remove_omap_keys(op, ("k0", "no")), "m"))
    step("remove a range", writes(lambda op: io.remove_omap_range2(op, "k2", "k4"), "m"))
    step("what is left", reads(lambda op: io.get_omap_keys(op, "", 10), "m"))
    step("clear", writes(io.clear_omap, "m"))
    step("nothing is left", reads(lambda op: io.get_omap_keys(op, "", 10), "m"))
    step("omap of nothing", reads(lambda op: io.get_omap_keys(op, "", 10), "nothing"))
    step("clear nothing", writes(io.clear_omap, "nothing"))


def vectors() -> None:
    step("create", writes(lambda op: op.new(rados.LIBRADOS_CREATE_EXCLUSIVE), "v"))
    step("create again", writes(lambda op: op.new(rados.LIBRADOS_CREATE_EXCLUSIVE), "v"))
    step("create if need be", writes(lambda op: op.new(rados.LIBRADOS_CREATE_IDEMPOTENT), "v"))

    def several(op: rados.WriteOp) -> None:
        op.write_full(b"0123456789")
        op.append(b"abc")
        op.zero(2, 3)
        op.set_xattr("x", b"1")
        op.truncate(12)

    step("several", writes(several, "v"))
    step("read them", lambda: [io.read("v"), io.get_xattr("v", "x")])

    def half(op: rados.WriteOp) -> None:
        op.write_full(b"lost")
        op.cmpext(b"zzz", 0)

    step("half of it fails", writes(half, "v"))
    step("none of it was done", lambda: io.read("v"))
    step("version of long ago", writes(lambda op: op.assert_version(1), "v"))
    step("version to come", writes(lambda op: op.assert_version(1 << 40), "v"))
    step("remove an attribute in one", writes(lambda op: op.rm_xattr("x"), "v"))
    step("class in a write", writes(lambda op: op.execute("hello", "record_hello", b"me"), "h"))
    step("class that is not there", writes(lambda op: op.execute("no", "such", b""), "v"))
    step("write same in one", writes(lambda op: op.writesame(b"ab", 4, 0), "v"))
    step(
        "compare omap", writes(lambda op: op.omap_cmp("k", "v", rados.LIBRADOS_CMPXATTR_OP_EQ), "v")
    )
    step("compare in a read", reads(lambda op: op.cmpext(b"abab", 0), "v"))
    step("compare in a read that differs", reads(lambda op: op.cmpext(b"abaz", 0), "v"))
    step("remove in one", writes(lambda op: op.remove(), "v"))
    step("remove in one again", writes(lambda op: op.remove(), "v"))


def asynchronous() -> None:
    step("aio write", waited(lambda cb: io.aio_write("a", b"12345", 0, oncomplete=cb)))
    step("aio write full", waited(lambda cb: io.aio_write_full("a", b"1234567", oncomplete=cb)))
    step("aio append", waited(lambda cb: io.aio_append("a", b"89", oncomplete=cb)))
    step("aio write same", waited(lambda cb: io.aio_writesame("a", b"xy", 4, 1, oncomplete=cb)))
    step("aio read", waited(lambda cb: io.aio_read("a", 100, 0, cb)))
    step("aio read nothing", waited(lambda cb: io.aio_read("nothing", 100, 0, cb)))
    step("aio compare", waited(lambda cb: io.aio_cmpext("a", b"1xyz", 0, cb)))
    step("aio set an attribute", waited(lambda cb: io.aio_setxattr("a", "x", b"1", cb)))
    step("aio remove an attribute", waited(lambda cb: io.aio_rmxattr("a", "x", cb)))
    hello = (b"you", 100)
    step("aio execute", waited(lambda cb: io.aio_execute("a", "hello", "say_hello", *hello, cb)))
    step("aio flush", io.aio_flush)

    def size(cb: Callable[..., None]) -> rados.Completion:
        return io.aio_stat("a", lambda done, found, _: cb(done, found))

    step("aio stat", waited(size))
    step("aio remove", waited(lambda cb: io.aio_remove("a", oncomplete=cb)))
    step("aio remove again", waited(lambda cb: io.aio_remove("a", oncomplete=cb)))

    def vector() -> Any:
        op = io.create_write_op()
        op.write_full(b"vector")
        completion = io.operate_aio_write_op(op, "av")
        completion.wait_for_complete()
        io.release_write_op(op)
        return [completion.get_return_value(), io.read("av")]

    step("aio vector", vector)


def places() -> None:
    io.write_full("here", b"1")
    io.set_namespace("apart")
    step("namespace", io.get_namespace)
    step("another namespace", lambda: io.read("here"))
    io.write_full("there", b"2")
    step("listed there", lambda: [one.key for one in io.list_objects()])
    io.set_namespace(rados.LIBRADOS_ALL_NSPACES)
    everywhere = [(one.nspace, one.key) for one in io.list_objects()]
    step(
        "listed everywhere", lambda: [("apart", "there") in everywhere, ("", "here") in everywhere]
    )
    io.set_namespace("")
    io.set_locator_key("key")
    step("locator", io.get_locator_key)
    step("another locator", lambda: io.read("here"))
    io.write_full("located", b"3")
    found = {one.key: one.locator_key for one in io.list_objects()}
    step("listed with its locator", lambda: found["located"])
    io.set_locator_key("")
    step("without the locator", lambda: io.read("located"))

    def walk() -> Any:
        one = rados.Object(io, "here")
        return [one.write(b"more"), one.seek(1), one.read(2), one.read(2), one.stat()[0]]

    step("object", walk)
    step("a copy of the handle", lambda: io.dup().read("here"))


def classes() -> None:
    step("execute", lambda: io.execute("here", "hello", "say_hello", b"you"))
    step("execute what is not there", lambda: io.execute("here", "hello", "nothing", b""))
    step("execute what fails", lambda: io.execute("here", "hello", "say_hello", b"n" * 200))
    step("execute on nothing", lambda: io.execute("nothing", "lock", "get_info", b""))
    step("lock", lambda: io.lock_exclusive("l", "name", "me", "why", 30))
    step("lock of others", lambda: io.lock_exclusive("l", "name", "you"))
    step("lock again", lambda: io.lock_exclusive("l", "name", "me"))
    step("share what is held", lambda: io.lock_shared("l", "name", "you", "tag"))
    step("unlock what is not held", lambda: io.unlock("l", "name", "you"))
    step("unlock", lambda: io.unlock("l", "name", "me"))
    step("share", lambda: io.lock_shared("l", "name", "me", "tag"))
    step("share with others", lambda: io.lock_shared("l", "name", "you", "tag"))
    step("share under another tag", lambda: io.lock_shared("l", "name", "they", "other"))


def watches() -> None:
    heard: list[Any] = []
    there = threading.Event()

    def hear(_notify: int, _who: int, _watch: int, payload: bytes) -> None:
        heard.append(payload)
        there.set()

    step("watch nothing", lambda: io.watch("nothing", hear))
    watch = io.watch("here", hear)
    step("watch", lambda: [watch.get_id() > 0, watch.check() is not None])
    step("notify", lambda: io.notify("here", "hello"))
    there.wait(60)
    step("heard", lambda: heard)
    step("notify where nobody is", lambda: io.notify("located2", "hello"))
    acks: list[Any] = []

    def told(_done: rados.Completion, result: int, found: list[Any], late: list[Any]) -> None:
        acks.extend([result, len(found), len(late)])

    completion = io.aio_notify("here", told, "again", 5000)
    completion.wait_for_complete_and_cb()
    step("aio notify", lambda: acks)
    step("watch ends", watch.close)


def snapshots() -> None:
    io.write_full("s", b"old")
    step("no snapshots", lambda: [one.name for one in io.list_snaps()])
    step("snapshot", lambda: io.create_snap("first"))
    step("snapshot again", lambda: io.create_snap("first"))
    io.write_full("s", b"new")
    step("snapshots", lambda: [one.name for one in io.list_snaps()])
    snap = io.lookup_snap("first")
    step("look up nothing", lambda: io.lookup_snap("nothing"))
    step("with a time", lambda: snap.get_timestamp() is not None)

    def as_of() -> Any:
        io.set_read(snap.snap_id)
        found = io.read("s")
        io.set_read(rados.LIBRADOS_SNAP_HEAD)
        return [found, io.read("s")]

    step("as of then", as_of)
    step("roll back", lambda: io.snap_rollback("s", "first"))
    step("rolled back", lambda: io.read("s"))
    step("remove the snapshot", lambda: io.remove_snap("first"))
    step("remove it once more", lambda: io.remove_snap("first"))
    step("own snapshots in such a pool", io.create_self_managed_snap)


def own_snapshots() -> None:
    words = {"prefix": "osd pool create", "pool": POOL + "3", "pg_num": 4, "pgp_num": 4}
    cluster.mon_command(json.dumps(words), b"")
    own = cluster.open_ioctx(POOL + "3")
    own.write_full("s", b"old")
    snap = own.create_self_managed_snap()
    own.set_self_managed_snap_write([snap])
    own.write_full("s", b"new")
    step("own snapshot", lambda: (own.set_read(snap), own.read("s"))[1])
    own.set_read(rados.LIBRADOS_SNAP_HEAD)
    step("own rollback", lambda: (own.rollback_self_managed_snap("s", snap), own.read("s"))[1])
    step("own snapshot removed", lambda: own.remove_self_managed_snap(snap))
    step("pool snapshots in such a pool", lambda: own.create_snap("no"))
    own.close()
    cluster.delete_pool(POOL + "3")


def applications() -> None:
    step("no application", io.application_list)
    step("application", lambda: io.application_enable("rados"))
    step("another", lambda: io.application_enable("rbd"))
    step("another by force", lambda: io.application_enable("rbd", True))
    step("applications", lambda: sorted(io.application_list()))
    step("word", lambda: io.application_metadata_set("rados", "k", "v"))
    step("word of no application", lambda: io.application_metadata_set("cephfs", "k", "v"))
    step("words", lambda: list(io.application_metadata_list("rados")))
    step("one word", lambda: io.application_metadata_get("rados", "k"))
    step("no word", lambda: io.application_metadata_get("rados", "no"))
    step("word removed", lambda: io.application_metadata_remove("rados", "k"))


def log() -> None:
    came = threading.Event()

    def hear(*words: Any) -> None:
        if any("surface speaks" in str(word) for word in words):
            came.set()

    with Listening(hear):
        cluster.mon_command(json.dumps({"prefix": "log", "logtext": ["surface speaks"]}), b"")
        step("log", lambda: came.wait(60))


class Listening:
    """What the cluster logs is told, for as long as this lasts."""

    def __init__(self, hear: Callable[..., None]) -> None:
        self.hear = hear

    def __enter__(self) -> None:
        cluster.monitor_log2("info", self.hear)

    def __exit__(self, *_: object) -> None:
        cluster.monitor_log2("info", None)


for part in (
    pools,
    cluster_wide,
    data,
    attributes,
    omaps,
    vectors,
    asynchronous,
    places,
    classes,
    lambda: user_surface.run(io, step),
    watches,
    own_snapshots,
    snapshots,
    applications,
    log,
):
    part()
io.close()
step("closed", lambda: io.read("o"))
cluster.delete_pool(POOL)
cluster.shutdown()
print(json.dumps(outcomes, indent=1))
