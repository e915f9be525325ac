# SPDX-License-Identifier: Apache-2.0
"""Aggregates in and out."""

from octostack.base import clock
from octostack.services.compute.model import Aggregate
from octostack.services.compute.schema import terms
from octostack.services.compute.schema.terms import Json

_ZONE: Json = {"oneOf": [{**terms.NAME, "pattern": "^[^:]*$"}, {"type": "null"}]}
_AGGREGATE: Json = {"name": terms.NAME, "availability_zone": _ZONE}
CREATE = terms.body("aggregate", terms.whole(_AGGREGATE, ["name"]))
UPDATE = terms.body("aggregate", {**terms.whole(_AGGREGATE), "minProperties": 1})
_HOST = terms.whole({"host": terms.HOSTNAME}, ["host"])
ADD_HOST = terms.body("add_host", _HOST)
REMOVE_HOST = terms.body("remove_host", _HOST)
SET_METADATA = terms.body(
    "set_metadata", terms.whole({"metadata": terms.METADATA_OR_NULL}, ["metadata"])
)
CACHE = terms.body(
    "cache",
    {"type": "array", "minItems": 1, "items": terms.whole({"id": terms.UUID}, ["id"])},
)


def view(aggregate: Aggregate, version: tuple[int, int]) -> Json:
    """One aggregate."""
    shown: Json = {
        "id": aggregate.id,
        "name": aggregate.name,
        "hosts": list(aggregate.hosts),
        "availability_zone": aggregate.metadata.get("availability_zone"),
        "metadata": aggregate.metadata,
        "created_at": _time(aggregate.created_at),
        "updated_at": _time(aggregate.updated_at),
        "deleted_at": None,
        "deleted": False,
    }
    if version >= (2, 41):
        shown["uuid"] = aggregate.uuid
    return shown


def _time(t: float | None) -> str | None:
    return None if t is None else clock.iso(t, micros=True, suffix="")
