# SPDX-License-Identifier: Apache-2.0
"""Object classes: methods that run where the object is, one module for each class.

A module decorates its methods with `frame.method`; naming the module in `CLASSES` is all that it
takes to offer it. A method is called with the `OpContext` of the object and its input, and gives
its output; it fails by raising OpError.
"""

import errno
import struct
from importlib import import_module

from octostack.engines.ceph.osd.cls import frame
from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import OpError, require
from octostack.engines.ceph.osd.requests import Op

CLASSES = ("hello", "lock", "log", "numops", "rbd", "refcount", "timeindex", "user", "version")

_CALL = struct.Struct("<BBBI")


def _split(op: Op) -> tuple[str, str, bytes]:
    name, method, _, size = _CALL.unpack_from(op.parameters)
    require(name + method + size <= len(op.payload), errno.EINVAL)
    text = bytes(op.payload[: name + method]).decode("latin-1")
    data = bytes(op.payload[name + method : name + method + size])
    return text[:name], text[name:], data


def find(class_name: str, method: str) -> frame.Method | None:
    """A method; its class is loaded when it is first asked for."""
    known = frame.METHODS.get((class_name, method))
    if known or class_name not in CLASSES:
        return known
    import_module(f"{__name__}.{class_name}")
    return frame.METHODS.get((class_name, method))


def writes(op: Op) -> bool:
    """Whether the method that `op` calls may change the object."""
    class_name, method, _ = _split(op)
    found = find(class_name, method)
    return found is not None and found.writes


def is_known(op: Op) -> bool:
    """Whether there is the method that `op` calls."""
    class_name, method, _ = _split(op)
    return find(class_name, method) is not None


def call(ctx: OpContext, op: Op) -> bytes:
    """Run the method. Raises OpError EOPNOTSUPP when there is none, and what the method raises."""
    class_name, method, data = _split(op)
    found = find(class_name, method)
    if found is None:
        raise OpError(errno.EOPNOTSUPP)
    return found.run(ctx, data) or b""
