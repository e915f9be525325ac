# SPDX-License-Identifier: Apache-2.0
"""Every message as a struct, and the table that says how each lies on the wire.

`TABLE` is the sum of the tables of `monitor`, `cluster` and `client`: one line per type of message
with its number, versions and fields. The two messages of every read and write, MOSDOp and
MOSDOpReply, are written out by hand in `osdop`. A message of a version newer than ours is read as
far as we know it; one with a field `data` carries that in the data segment.
"""

from octostack.wire.ceph.codec import Malformed, Reader, Writer
from octostack.wire.ceph.link import Envelope, Outgoing
from octostack.wire.ceph.maps import fields as f
from octostack.wire.ceph.messages import client, cluster, monitor
from octostack.wire.ceph.messages.layout import DATA, Layout, Message

TABLE: tuple[Layout, ...] = (*monitor.TABLE, *cluster.TABLE, *client.TABLE)
_BY_TYPE = {layout.number: layout for layout in TABLE}
_BY_CLASS = {layout.kind: layout for layout in TABLE}


def find_layout(number: int) -> Layout | None:
    """How messages of this type are laid out, when we know it."""
    return _BY_TYPE.get(number)


def decode(envelope: Envelope) -> Message:
    """The message. Raises Malformed, also for a type that we do not know."""
    layout = _BY_TYPE.get(envelope.type)
    if layout is None:
        raise Malformed(f"a message of type {envelope.type}")
    if envelope.compat > layout.version:
        raise Malformed(f"{layout.name} asks for version {envelope.compat}")
    values = f.read_fields(Reader(envelope.front), envelope.version, layout.fields)
    if layout.has_data:
        values[DATA] = bytes(envelope.data)
    return layout.kind(**values)


def encode(message: Message, tid: int = 0) -> Outgoing:
    """What a session sends."""
    layout = _BY_CLASS[type(message)]
    w = Writer()
    f.write_fields(w, layout.version, layout.fields, message)
    data = getattr(message, DATA) if layout.has_data else b""
    return Outgoing(layout.number, w.done(), layout.version, layout.compat, tid, data)
