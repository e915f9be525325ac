# SPDX-License-Identifier: Apache-2.0
"""What this service is and can do: versions, resources, extensions, addresses left."""

from typing import Any

from octostack.base.errors import OctoError
from octostack.runtime.http import Fault, Request
from octostack.services.network.api import networks, query
from octostack.services.network.api.app import App, Op, owned
from octostack.services.network.model import nouns
from octostack.services.network.model.faults import fault
from octostack.services.network.schema.extensions import EXTENSIONS
from octostack.services.network.schema.resource import bad
from octostack.services.network.store import filters, rows

_UPDATED = "2026-01-01T00:00:00-00:00"
COLLECTIONS = (
    "networks",
    "subnets",
    "subnetpools",
    "address-scopes",
    "ports",
    "routers",
    "floatingips",
    "security-groups",
    "security-group-rules",
    "default-security-group-rules",
    "rbac-policies",
    "agents",
    "quotas",
    "availability_zones",
    "network-ip-availabilities",
    "service-providers",
    "extensions",
)


async def versions(_app: App, req: Request) -> Any:
    """``GET /networking``."""
    link = {"rel": "self", "href": f"{req.base_url}/v2.0/"}
    return {"versions": [{"id": "v2.0", "status": "CURRENT", "links": [link]}]}


async def resources(_app: App, req: Request) -> Any:
    """``GET /networking/v2.0``."""
    return {
        "resources": [
            {
                "name": name.replace("-", "_").rstrip("s"),
                "collection": name,
                "links": [{"rel": "self", "href": f"{req.base_url}/{name}"}],
            }
            for name in COLLECTIONS
        ]
    }


def _extension(alias: str) -> dict[str, Any]:
    return {
        "alias": alias,
        "name": EXTENSIONS[alias][0],
        "description": EXTENSIONS[alias][1],
        "updated": _UPDATED,
        "links": [],
    }


async def extensions(_app: App, _req: Request) -> Any:
    """``GET /extensions``."""
    return {"extensions": [_extension(alias) for alias in EXTENSIONS]}


async def extension(_app: App, req: Request) -> Any:
    """``GET /extensions/{alias}``."""
    alias = req.params["alias"]
    if alias not in EXTENSIONS:
        raise fault("ExtensionNotFound", alias=alias)
    return {"extension": _extension(alias)}


async def providers(_app: App, req: Request) -> Any:
    """``GET /service-providers``."""
    if not req.allowed("get_service_provider", owned(req.caller.project_id or "")):
        raise fault("PolicyNotAuthorized", action="get_service_provider")
    only = {"service_type": "L3_ROUTER_NAT", "name": "octostack", "default": True}
    return {"service_providers": [only]}


async def availabilities(app: App, req: Request) -> Any:
    """``GET /network-ip-availabilities``."""
    _require_operator(req)
    names = {"network_id": "id", "network_name": "name"}
    asked: dict[str, list[Any]] = {}
    version = ""
    for name in req.query.names():
        if name == "ip_version":
            version = req.query.get(name, "")
        elif name in ("tenant_id", "project_id"):
            asked["project_id"] = req.query.all(name)
        elif name in names:
            asked[names[name]] = req.query.all(name)
        elif name != "fields":
            raise bad(f"['{name}'] is invalid attribute for filtering", name)
    async with app.db.read() as tx:
        op = Op(app, tx, req.caller)
        where = filters.wanted(nouns.Network, asked, None)
        found = await networks.availability(op, await rows.select(tx, nouns.Network, *where))
    if version:
        found = [_of_version(item, version) for item in found]
        found = [item for item in found if item["subnet_ip_availability"]]
    wanted = query.fields(req)
    shown = [{k: v for k, v in i.items() if not wanted or k in wanted} for i in found]
    return {"network_ip_availabilities": shown}


def _of_version(item: dict[str, Any], version: str) -> dict[str, Any]:
    parts = [p for p in item["subnet_ip_availability"] if str(p["ip_version"]) == version]
    return {
        **item,
        "subnet_ip_availability": parts,
        "total_ips": sum(p["total_ips"] for p in parts),
        "used_ips": sum(p["used_ips"] for p in parts),
    }


async def availability(app: App, req: Request) -> Any:
    """``GET /network-ip-availabilities/{id}``."""
    _require_operator(req)
    async with app.db.read() as tx:
        network = await rows.find(tx, nouns.Network, req.params["id"])
        if network is None:
            raise fault("NetworkNotFound", net_id=req.params["id"])
        [shown] = await networks.availability(Op(app, tx, req.caller), [network])
    return {"network_ip_availability": shown}


def _require_operator(req: Request) -> None:
    if not req.allowed("get_network_ip_availability", owned(req.caller.project_id or "")):
        raise fault("PolicyNotAuthorized", action="get_network_ip_availability")


_STATUS = {"over_quota": 409}
_STATUS_BY_CODE = {"RevisionNumberConstraintFailed": 412}
_WEB_ERRORS = {
    400: "HTTPBadRequest",
    401: "HTTPUnauthorized",
    403: "HTTPForbidden",
    404: "HTTPNotFound",
    405: "HTTPMethodNotAllowed",
    408: "HTTPRequestTimeout",
    409: "HTTPConflict",
    413: "HTTPRequestEntityTooLarge",
    415: "HTTPUnsupportedMediaType",
    500: "HTTPInternalServerError",
    503: "HTTPServiceUnavailable",
}


def answer_fault(error: OctoError, status: int, _request_id: str) -> Fault:
    """An error in Neutron's form."""
    status = _STATUS_BY_CODE.get(error.code, _STATUS.get(error.kind, status))
    named = error.code[:1].isupper()
    kind = error.code if named else _WEB_ERRORS.get(status, "HTTPInternalServerError")
    headers = {"WWW-Authenticate": "Keystone"} if status == 401 else {}
    if status == 401:
        return Fault(status, {"error": {"code": 401, "title": "Unauthorized",
                                        "message": error.message}}, headers)  # fmt: skip
    body = {"NeutronError": {"type": kind, "message": error.message, "detail": ""}}
    return Fault(status, body, headers)
