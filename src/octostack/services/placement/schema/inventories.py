# SPDX-License-Identifier: Apache-2.0
"""Inventories in and out."""

from collections.abc import Mapping
from typing import Any

import msgspec

from octostack.contracts.placement import Inventory
from octostack.services.placement.schema.parts import (
    CLASS_NAME,
    GENERATION,
    INT_MAX,
    body,
    closed,
)

_FLOAT_MAX = 3.40282e38
_COUNT = {"type": "integer", "maximum": INT_MAX, "minimum": 1}
_FIELDS = {
    "resource_provider_generation": GENERATION,
    "total": _COUNT,
    "reserved": {"type": "integer", "maximum": INT_MAX, "minimum": 0},
    "min_unit": _COUNT,
    "max_unit": _COUNT,
    "step_size": _COUNT,
    "allocation_ratio": {"type": "number", "maximum": _FLOAT_MAX, "minimum": -_FLOAT_MAX},
}
_CLASS = {"type": "string", "pattern": CLASS_NAME, "maxLength": 255}

RECORD = closed(_FIELDS, ("total",))
SET = closed(
    {
        "resource_provider_generation": GENERATION,
        "inventories": {
            "type": "object",
            "patternProperties": {"^[A-Z0-9_]{1,255}$": RECORD},
            "additionalProperties": False,
        },
    },
    ("resource_provider_generation", "inventories"),
)
POST = body(closed(_FIELDS | {"resource_class": _CLASS}, ("total", "resource_class")))
PUT_ONE = body(closed(_FIELDS, ("total", "resource_provider_generation")))
PUT_ALL = body(SET)


def read(data: Mapping[str, Any]) -> Inventory:
    """One inventory out of a body; what is missing has its default."""
    fields = Inventory.__struct_fields__
    return Inventory(**{k: v for k, v in data.items() if k in fields})


def view(inventory: Inventory, generation: int | None = None) -> dict[str, Any]:
    """One inventory; the generation is left out where it is none or 0, as in the field."""
    shown = msgspec.structs.asdict(inventory)
    if generation:
        shown["resource_provider_generation"] = generation
    return shown


def view_all(inventories: Mapping[str, Inventory], generation: int) -> dict[str, Any]:
    """A provider's inventories by class."""
    return {
        "resource_provider_generation": generation,
        "inventories": {name: view(one) for name, one in inventories.items()},
    }
