# SPDX-License-Identifier: Apache-2.0
"""Operations of watchers and notifiers; `watching` has the state that outlives a request."""

import errno
import struct

from octostack.engines.ceph.osd.ops.context import Notify, NotifyAck, OpContext, WatchChange
from octostack.engines.ceph.osd.ops.failures import OpError, require
from octostack.engines.ceph.osd.ops.state import Watcher
from octostack.engines.ceph.osd.requests import Op
from octostack.wire.ceph.addresses import write_address
from octostack.wire.ceph.codec import Reader, Writer

_WATCH = struct.Struct("<QQBII")
_UNWATCH, _LEGACY, _NEW, _RECONNECT, _PING = 0, 1, 3, 5, 7
TIMEOUT_S = 30
_CLIENT = 8


def watch(ctx: OpContext, op: Op) -> None:
    """Begin, renew or end a watch. Raises OpError ENOENT, ENOTCONN, EINVAL."""
    cookie, _, what, _, timeout = _WATCH.unpack_from(op.parameters)
    ctx.require_exists()
    session = ctx.request.session
    known = _find(ctx, session.client, cookie)
    if what == _UNWATCH:
        if known:
            _set(ctx, [w for w in ctx.info.watchers if w is not known])
            ctx.effects.append(WatchChange(known, gone=True))
        return
    if what not in (_LEGACY, _NEW, _RECONNECT, _PING):
        raise OpError(errno.EINVAL)
    if what in (_RECONNECT, _PING):
        require(known, errno.ENOTCONN)
    if known is not None and what == _PING:
        ctx.effects.append(WatchChange(known))
        return
    new = Watcher(session.client, cookie, timeout or TIMEOUT_S, session.address)
    if new != known:
        _set(ctx, [*(w for w in ctx.info.watchers if w is not known), new])
    ctx.effects.append(WatchChange(new))


def notify(ctx: OpContext, op: Op) -> bytes:
    """In: u32 1, u32 timeout, str payload. Out: u64 id of the notify."""
    ctx.require_exists()
    cookie = int.from_bytes(op.parameters[:8], "little")
    r = Reader(op.payload)
    r.u32()
    timeout, payload = r.u32(), r.bytes()
    ctx.effects.append(Notify(cookie, timeout or TIMEOUT_S, payload, ctx.notify_id))
    return ctx.notify_id.to_bytes(8, "little")


def notify_ack(ctx: OpContext, op: Op) -> None:
    """In: u64 id of the notify, u64 cookie of the watch, str answer."""
    if len(op.payload):
        r = Reader(op.payload)
        number, cookie = r.u64(), r.u64()
        ctx.effects.append(NotifyAck(number, cookie, r.bytes() if r.left else b""))
    else:
        number = int.from_bytes(op.parameters[:8], "little")
        ctx.effects.append(NotifyAck(number, 0, b""))


def list_watchers(ctx: OpContext, op: Op) -> bytes:
    """{1,1: vec<{2,1: entity, u64 cookie, u32 timeout, entity_addr}>}."""
    ctx.require_exists()
    w = Writer()
    with w.versioned(1, 1):
        w.u32(len(ctx.info.watchers))
        for one in sorted(ctx.info.watchers, key=lambda one: (one.client, one.cookie)):
            with w.versioned(2, 1):
                w.u8(_CLIENT)
                w.s64(one.client)
                w.u64(one.cookie)
                w.u32(one.timeout_s)
                write_address(w, one.address)
    return w.done()


def _find(ctx: OpContext, client: int, cookie: int) -> Watcher | None:
    them = ctx.info.watchers
    return next((w for w in them if (w.client, w.cookie) == (client, cookie)), None)


def _set(ctx: OpContext, watchers: list[Watcher]) -> None:
    ctx.info.watchers = watchers
    ctx.info_modified = True
