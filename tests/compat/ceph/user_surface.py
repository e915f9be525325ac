# SPDX-License-Identifier: Apache-2.0
"""The part of `librados_surface.py` on the object class of radosgw's users."""

import struct
from collections.abc import Callable
from typing import Any

import rados

Step = Callable[[str, Callable[[], Any]], None]


def run(io: rados.Ioctx, step: Step) -> None:
    """The class of radosgw's users: its sums, as buckets come and go."""

    def frame(version: int, compat: int, body: bytes) -> bytes:
        return struct.pack("<BBI", version, compat, len(body)) + body

    def text(value: bytes) -> bytes:
        return struct.pack("<I", len(value)) + value

    def bucket(name: bytes) -> bytes:
        return frame(9, 8, b"".join(map(text, (name, b"marker", b"id", b"place"))))

    def entry(name: bytes, size: int) -> bytes:
        numbers = struct.pack("<QIQ", size, 5, 1)
        rest = struct.pack("<QBII", size + 7, 0, 5, 0)
        return frame(9, 5, text(b"") + numbers + bucket(name) + rest)

    def call(method: str, body: bytes, version: int = 1) -> Any:
        return io.execute("u", "user", method, frame(version, 1, body), 400_000)[1]

    def put(names: list[bytes], size: int, adds: bool) -> Any:
        entries = b"".join(entry(name, size) for name in names)
        body = struct.pack("<I", len(names)) + entries + struct.pack("<BII", adds, 99, 0)
        return call("set_buckets_info", body)

    def page(after: bytes, limit: int, end: bytes) -> Any:
        found = call("list_buckets", text(after) + struct.pack("<i", limit) + text(end), 2)
        return [len(found), found[-20:]]

    step("user: no object", lambda: call("get_header", b""))
    io.write_full("u", b"")
    step("user: nothing yet", lambda: call("get_header", b""))
    step("user: add", lambda: put([b"one", b"two"], 10, adds=True))
    step("user: header", lambda: call("get_header", b""))
    step("user: change", lambda: put([b"two", b"three"], 30, adds=False))
    step("user: header then", lambda: call("get_header", b""))
    step("user: add again", lambda: put([b"two"], 70, adds=True))
    step("user: header after adding again", lambda: call("get_header", b""))
    step(
        "user: list", lambda: call("list_buckets", text(b"") + struct.pack("<i", 9) + text(b""), 2)
    )
    step("user: list one", lambda: page(b"", 1, b""))
    step("user: list to an end", lambda: page(b"", 9, b"two"))
    step("user: remove", lambda: call("remove_bucket", bucket(b"two")))
    step("user: remove again", lambda: call("remove_bucket", bucket(b"two")))
    step("user: header after removal", lambda: call("get_header", b""))
    step("user: synced", lambda: call("complete_stats_sync", struct.pack("<II", 123, 0)))
    step("user: many", lambda: put([b"b%04d" % n for n in range(1100)], 1, adds=True))
    step("user: header of many", lambda: call("get_header", b""))
    sums = frame(1, 1, struct.pack("<QQQ", 5, 5, 5))
    now = struct.pack("<II", 200, 0)
    step("user: reset, a page", lambda: call("reset_user_stats2", now + text(b"") + sums))
    step("user: reset, the rest", lambda: call("reset_user_stats2", now + text(b"b1000") + sums))
    step("user: header of the rest", lambda: call("get_header", b""))
    step("user: reset all", lambda: call("reset_user_stats", now))
    step("user: header at last", lambda: call("get_header", b""))
    step("user: nonsense", lambda: io.execute("u", "user", "list_buckets", b"x"))
