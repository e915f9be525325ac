# SPDX-License-Identifier: Apache-2.0
"""Flavors in and out."""

from typing import Any

from octostack.base import ids
from octostack.runtime.http import versions
from octostack.services.compute.model import Flavor
from octostack.services.compute.schema import terms
from octostack.services.compute.schema.terms import Json

_ID: Json = {
    "type": ["string", "number", "null"],
    "pattern": "^[a-zA-Z0-9. _-]*$",
    "minLength": 1,
    "maxLength": 255,
    "format": "flavor_id",
}


def _number(least: int) -> Json:
    return {
        "type": ["integer", "string"],
        "pattern": "^[0-9]+$",
        "minimum": least,
        "maximum": terms.INT32_MAX,
        "format": f"at_least_{least}",
    }


def _create(*, described: bool) -> Json:
    flavor: Json = {
        "name": terms.NAME,
        "id": _ID,
        "ram": _number(1),
        "vcpus": _number(1),
        "disk": _number(0),
        "OS-FLV-EXT-DATA:ephemeral": _number(0),
        "swap": _number(0),
        "rxtx_factor": {
            "type": ["number", "string"],
            "pattern": r"^[0-9]+(\.[0-9]+)?$",
            "minimum": 0,
            "exclusiveMinimum": 0,
            "maximum": 3.40282e38,
        },
        "os-flavor-access:is_public": terms.BOOLEAN,
    }
    if described:
        flavor["description"] = {
            "type": ["string", "null"],
            "maxLength": 65535,
            "format": "multiline",
        }
    return terms.whole(
        {"flavor": terms.whole(flavor, ["name", "ram", "vcpus", "disk"])}, ["flavor"]
    )


CREATE = versions(
    ("2.55", terms.compiled(_create(described=True))),
    ("2.1", terms.compiled(_create(described=False))),
)
UPDATE = terms.body(
    "flavor",
    terms.whole(
        {"description": {"type": ["string", "null"], "maxLength": 65535, "format": "multiline"}},
        ["description"],
    ),
)
_SPEC_VALUE: Json = {"type": ["string", "number"], "minLength": 0, "maxLength": 255}
_SPECS: Json = {
    "type": "object",
    "patternProperties": {"^[a-zA-Z0-9-_:. ]{1,255}$": _SPEC_VALUE},
    "additionalProperties": False,
}
EXTRA_SPECS = terms.body("extra_specs", _SPECS)
EXTRA_SPEC = terms.compiled({**_SPECS, "minProperties": 1, "maxProperties": 1})
_TENANT = terms.whole({"tenant": {"type": "string", "minLength": 1, "maxLength": 255}}, ["tenant"])
ADD_ACCESS = terms.body("addTenantAccess", _TENANT)
REMOVE_ACCESS = terms.body("removeTenantAccess", _TENANT)


def read(body: Json) -> Flavor:
    """The flavor a body describes."""
    f = body["flavor"]
    given = f.get("id")
    flavor_id = ids.new() if given in (None, "auto") else str(given).strip()
    return Flavor(
        id=flavor_id,
        name=f["name"],
        memory_mb=int(f["ram"]),
        vcpus=int(f["vcpus"]),
        root_gb=int(f["disk"]),
        ephemeral_gb=int(f.get("OS-FLV-EXT-DATA:ephemeral", 0)),
        swap_mb=int(f.get("swap", 0)),
        rxtx_factor=float(f.get("rxtx_factor", 1.0)),
        is_public=terms.truth(f.get("os-flavor-access:is_public", True)),
        description=f.get("description"),
    )


def basic(flavor: Flavor, base_url: str, version: tuple[int, int]) -> Json:
    """A line of the short list."""
    view: Json = {"id": flavor.id, "name": flavor.name, "links": _links(flavor, base_url)}
    if version >= (2, 55):
        view["description"] = flavor.description
    return view


def detail(flavor: Flavor, base_url: str, version: tuple[int, int], *, specs: bool) -> Json:
    """The whole flavor; `specs`: may the viewer see the extra specs?"""
    view: Json = {
        "id": flavor.id,
        "name": flavor.name,
        "ram": flavor.memory_mb,
        "disk": flavor.root_gb,
        "vcpus": flavor.vcpus,
        "swap": flavor.swap_mb if version >= (2, 75) else (flavor.swap_mb or ""),
        "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral_gb,
        "OS-FLV-DISABLED:disabled": flavor.disabled,
        "os-flavor-access:is_public": flavor.is_public,
        "rxtx_factor": flavor.rxtx_factor,
        "links": _links(flavor, base_url),
    }
    if version >= (2, 55):
        view["description"] = flavor.description
    if version >= (2, 61) and specs:
        view["extra_specs"] = flavor.extra_specs
    return view


def access(flavor_id: str, projects: list[str]) -> Json:
    """Who may use a flavor."""
    return {"flavor_access": [{"flavor_id": flavor_id, "tenant_id": p} for p in projects]}


def texts(values: dict[str, Any]) -> dict[str, str]:
    """Extra specs as text."""
    return {k: str(v) for k, v in values.items()}


def _links(flavor: Flavor, base_url: str) -> list[Json]:
    root = base_url.rsplit("/v2", 1)[0]
    return [
        {"rel": "self", "href": f"{base_url}/flavors/{flavor.id}"},
        {"rel": "bookmark", "href": f"{root}/flavors/{flavor.id}"},
    ]
