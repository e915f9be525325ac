# SPDX-License-Identifier: Apache-2.0
"""Cache tiers and manifests, where no pool is a tier and no object has a manifest."""

import errno

from octostack.engines.ceph.osd.ops.context import OpContext
from octostack.engines.ceph.osd.ops.failures import OpError
from octostack.engines.ceph.osd.requests import Op


def flush_cache(ctx: OpContext, op: Op) -> None:
    """The pool is no cache."""
    raise OpError(errno.EINVAL)


def do_nothing(ctx: OpContext, op: Op) -> None:
    """All of the object is here."""
    ctx.require_exists()


def evict(ctx: OpContext, op: Op) -> None:
    """Nothing of the object is elsewhere."""
    ctx.require_exists()
    raise OpError(errno.EINVAL)
