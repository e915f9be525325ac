# SPDX-License-Identifier: Apache-2.0
"""What may refuse a transaction, looked at before any of it is applied."""

from collections.abc import Container, Sequence

from octostack.base.errors import NotFound
from octostack.engines.ceph.osd.objectstore import api
from octostack.wire.ceph.objects import ShardPG

_FREEING = (
    api.Remove,
    api.RemoveAttr,
    api.RemoveAttrs,
    api.OmapRemove,
    api.OmapRemoveRange,
    api.OmapClear,
    api.RemoveCollection,
    api.Zero,
    api.Truncate,
)


def require_collections(
    transactions: Sequence[api.Transaction], present: Container[ShardPG]
) -> None:
    """Raises NotFound when an operation names a collection that will not be there by then."""
    made: dict[ShardPG, bool] = {}
    last: ShardPG | None = None
    for transaction in transactions:
        for change in transaction:
            where = change.collection
            if type(change) is api.CreateCollection:
                made[where] = True
            elif where is not last:
                if not made.get(where, where in present):
                    raise NotFound(f"There is no collection {where}.", code="objectstore.no_pg")
                last = where
            if type(change) is api.RemoveCollection:
                made[where], last = False, None
            elif type(change) is api.SplitCollection and not made.get(
                change.target, change.target in present
            ):
                raise NotFound(f"There is no collection {change.target}.", code="objectstore.no_pg")


def is_freeing(transactions: Sequence[api.Transaction]) -> bool:
    """Whether it takes something away: then it may use what a full disk keeps in reserve."""
    return any(isinstance(change, _FREEING) for tx in transactions for change in tx)


def growth(transactions: Sequence[api.Transaction]) -> int:
    """No more bytes than these are added by writes, attributes and omaps; clones apart."""
    total = 0
    for transaction in transactions:
        for change in transaction:
            match change:
                case api.Write():
                    total += len(change.data)
                case api.SetAttrs():
                    total += sum(map(len, change.attrs.values()))
                case api.OmapSet():
                    total += sum(map(len, change.entries.values()))
    return total
