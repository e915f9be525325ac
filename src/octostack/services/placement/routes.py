# SPDX-License-Identifier: Apache-2.0
"""The whole API on one screen."""

from octostack.base.errors import OctoError
from octostack.runtime.http import PUBLIC, Fault, Microversions, delete, get, post, put
from octostack.runtime.http.faults import TITLES
from octostack.services.placement.api import (
    aggregates,
    allocations,
    candidates,
    classes,
    inventories,
    providers,
    traits,
)
from octostack.services.placement.schema import allocations as allocation_schema
from octostack.services.placement.schema import candidates as candidate_schema
from octostack.services.placement.schema import inventories as inventory_schema
from octostack.services.placement.schema import names as name_schema
from octostack.services.placement.schema import providers as provider_schema

MICROVERSIONS = Microversions("placement", (1, 0), (1, 39))

_RP = "/resource_providers/{uuid}"
_RP_RULE = "placement:resource_providers:"
_INV_RULE = _RP_RULE + "inventories:"
_RC_RULE = "placement:resource_classes:"
_ALLOC_RULE = "placement:allocations:"

ROUTES = (
    get("/", candidates.home, rule=PUBLIC),
    # providers
    get("/resource_providers", providers.list_all, rule=_RP_RULE + "list",
        query=provider_schema.LIST),
    post("/resource_providers", providers.create, rule=_RP_RULE + "create",
         body=provider_schema.CREATE, status=201),
    get(_RP, providers.show, rule=_RP_RULE + "show"),
    put(_RP, providers.update, rule=_RP_RULE + "update", body=provider_schema.UPDATE),
    delete(_RP, providers.delete, rule=_RP_RULE + "delete", status=204),
    get(_RP + "/usages", providers.usages, rule=_RP_RULE + "usages"),
    # inventories
    get(_RP + "/inventories", inventories.list_all, rule=_INV_RULE + "list"),
    post(_RP + "/inventories", inventories.create, rule=_INV_RULE + "create",
         body=inventory_schema.POST, status=201),
    put(_RP + "/inventories", inventories.replace_all, rule=_INV_RULE + "update",
        body=inventory_schema.PUT_ALL),
    delete(_RP + "/inventories", inventories.delete_all, rule=_INV_RULE + "delete", status=204),
    get(_RP + "/inventories/{resource_class}", inventories.show, rule=_INV_RULE + "show"),
    put(_RP + "/inventories/{resource_class}", inventories.replace, rule=_INV_RULE + "update",
        body=inventory_schema.PUT_ONE),
    delete(_RP + "/inventories/{resource_class}", inventories.delete,
           rule=_INV_RULE + "delete", status=204),
    # aggregates
    get(_RP + "/aggregates", aggregates.list_all, rule=_RP_RULE + "aggregates:list", since="1.1"),
    put(_RP + "/aggregates", aggregates.replace, rule=_RP_RULE + "aggregates:update",
        body=name_schema.AGGREGATES, since="1.1"),
    # traits
    get("/traits", traits.list_all, rule="placement:traits:list",
        query=name_schema.TRAITS_LIST, since="1.6"),
    get("/traits/{name}", traits.show, rule="placement:traits:show", status=204, since="1.6"),
    put("/traits/{name}", traits.ensure, rule="placement:traits:update", status=201, since="1.6"),
    delete("/traits/{name}", traits.delete, rule="placement:traits:delete", status=204,
           since="1.6"),
    get(_RP + "/traits", traits.list_of_provider, rule=_RP_RULE + "traits:list", since="1.6"),
    put(_RP + "/traits", traits.replace, rule=_RP_RULE + "traits:update",
        body=name_schema.PROVIDER_TRAITS, since="1.6"),
    delete(_RP + "/traits", traits.delete_of_provider, rule=_RP_RULE + "traits:delete",
           status=204, since="1.6"),
    # resource classes
    get("/resource_classes", classes.list_all, rule=_RC_RULE + "list", since="1.2"),
    post("/resource_classes", classes.create, rule=_RC_RULE + "create", body=name_schema.CLASS,
         status=201, since="1.2"),
    get("/resource_classes/{name}", classes.show, rule=_RC_RULE + "show", since="1.2"),
    put("/resource_classes/{name}", classes.rename, rule=_RC_RULE + "update",
        body=name_schema.CLASS, since="1.2", until="1.6"),
    put("/resource_classes/{name}", classes.ensure, rule=_RC_RULE + "update", status=201,
        since="1.7"),
    delete("/resource_classes/{name}", classes.delete, rule=_RC_RULE + "delete", status=204,
           since="1.2"),
    # allocations
    get(_RP + "/allocations", allocations.list_of_provider,
        rule=_RP_RULE + "allocations:list"),
    post("/allocations", allocations.replace_many, rule=_ALLOC_RULE + "manage",
         body=allocation_schema.POST, status=204, since="1.13"),
    get("/allocations/{consumer_uuid}", allocations.show, rule=_ALLOC_RULE + "list"),
    put("/allocations/{consumer_uuid}", allocations.replace, rule=_ALLOC_RULE + "update",
        body=allocation_schema.PUT, status=204),
    delete("/allocations/{consumer_uuid}", allocations.delete, rule=_ALLOC_RULE + "delete",
           status=204),
    get("/usages", allocations.usages, rule="placement:usages", target="handler",
        query=allocation_schema.USAGES, since="1.9"),
    post("/reshaper", allocations.reshape, rule="placement:reshaper:reshape",
         body=allocation_schema.RESHAPE, status=204, since="1.30"),
    # candidates
    get("/allocation_candidates", candidates.list_all,
        rule="placement:allocation_candidates:list", query=candidate_schema.GET, since="1.10"),
)  # fmt: skip

# Codes that clients may rely on (placement/errors.py); any other error shows the last one.
CODES = frozenset(
    "placement." + name
    for name in (
        "inventory.inuse",
        "concurrent_update",
        "duplicate_name",
        "resource_provider.inuse",
        "resource_provider.cannot_delete_parent",
        "resource_provider.not_found",
        "query.duplicate_key",
        "query.bad_value",
        "query.missing_value",
    )
)
UNDEFINED_CODE = "placement.undefined_code"


def faults(error: OctoError, status: int, request_id: str) -> Fault:
    """Placement's form: a list of one error."""
    asked = str(error.details.get("asked", ""))[:100]
    words = {
        "body.json": f"Malformed JSON: {error.message}",
        "body.missing": f"Malformed JSON: {error.message}",
        "media_type": f"The media type {error.details.get('content_type')} is not supported, "
        "use application/json",
        "version.format": f"invalid version string: {asked}",
        "version.range": f"Unacceptable version header: {asked}",
    }
    shown = {
        "status": status,
        "title": TITLES.get(status, "Error"),
        "detail": words.get(error.code, error.message),
        "code": error.code if error.code in CODES and status != 404 else UNDEFINED_CODE,
        "request_id": request_id,
    }
    if status == 406:
        shown |= {k: v for k, v in error.details.items() if k in ("min_version", "max_version")}
    return Fault(status, {"errors": [shown]})
