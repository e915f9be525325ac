# SPDX-License-Identifier: Apache-2.0
"""The Placement API's things and bodies."""

from typing import Any

from octostack.testing.world.thing import Thing

PREFIX = "/placement"
_P, _RP = "/placement", "/placement/resource_providers"
_STOCK = {"VCPU": {"total": 16}}
_CLAIM = {
    "allocations": {"{stocked}": {"resources": {"VCPU": 1}}},
    "consumer_generation": None,
    "project_id": "{project}",
    "user_id": "{user}",
    "consumer_type": "INSTANCE",
}

THINGS = {
    "provider": Thing(f"POST {_RP}", {"name": "{new}"}, "uuid", "admin"),
    "stocked": Thing(
        f"POST {_RP}", {"name": "{new}"}, "uuid", "admin",
        then=((f"PUT {_RP}/{{self}}/inventories",
               {"resource_provider_generation": 0, "inventories": _STOCK}),)),
    "trait": Thing(f"PUT {_P}/traits/CUSTOM_{{NEW}}", by="admin"),
    "class": Thing(f"PUT {_P}/resource_classes/CUSTOM_{{NEW}}", by="admin"),
    "consumer": Thing(f"PUT {_P}/allocations/{{uuid}}", _CLAIM, by="admin"),
}  # fmt: skip

PARAMS = {
    "uuid": "{provider}",
    "resource_class": "VCPU",
    "traits.name": "{trait}",
    "resource_classes.name": "{class}",
    "consumer_uuid": "{consumer}",
    "PUT /allocations/{consumer_uuid}.consumer_uuid": "{uuid}",
    **{
        f"{method} /resource_providers/{{uuid}}/inventories{tail}.uuid": "{stocked}"
        for method in ("GET", "PUT", "DELETE")
        for tail in ("", "/{resource_class}")
    },
}
_ONE = "/resource_providers/{uuid}"
_GENERATION = {"resource_provider_generation": 0}
BODIES: dict[str, Any] = {
    "POST /resource_providers": {"name": "{new}"},
    f"PUT {_ONE}": {"name": "{new}"},
    f"POST {_ONE}/inventories": _GENERATION | {"resource_class": "VCPU", "total": 4},
    f"PUT {_ONE}/inventories": {"resource_provider_generation": 1, "inventories": _STOCK},
    f"PUT {_ONE}/inventories/{{resource_class}}": {"resource_provider_generation": 1, "total": 9},
    f"PUT {_ONE}/aggregates": _GENERATION | {"aggregates": ["{uuid}"]},
    f"PUT {_ONE}/traits": _GENERATION | {"traits": ["{trait}"]},
    "POST /resource_classes": {"name": "CUSTOM_{NEW}"},
    "PUT /resource_classes/{name} to 1.6": {"name": "CUSTOM_{NEW}"},
    "POST /allocations": {"{uuid}": _CLAIM},
    "PUT /allocations/{consumer_uuid}": _CLAIM,
    "POST /reshaper": {
        "inventories": {"{provider}": _GENERATION | {"inventories": _STOCK}},
        "allocations": {},
    },
}
QUERIES = {
    "GET /usages": "project_id={project}",
    "GET /allocation_candidates": "resources=VCPU:1",
}
USES_UP = (
    f"POST {_ONE}/inventories",
    f"PUT {_ONE}/inventories",
    f"PUT {_ONE}/inventories/{{resource_class}}",
    f"PUT {_ONE}/aggregates",
    f"PUT {_ONE}/traits",
    "POST /reshaper",
    "PUT /resource_classes/{name} to 1.6",
)
