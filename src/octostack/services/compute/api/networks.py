# SPDX-License-Identifier: Apache-2.0
"""Networks by Compute (to 2.35), as little as Nova showed of them since it has none of its own."""

from typing import Any

from octostack.base.errors import NotFound
from octostack.runtime.http import Request
from octostack.services.compute.api import lookup
from octostack.services.compute.api.asking import fetch
from octostack.services.compute.store.app import App

_NETWORKS = "/networks"
# Shown as null: the old networking service knew them.
_FIELDS = ("cidr", "netmask", "gateway", "broadcast", "dns1", "dns2", "cidr_v6", "gateway_v6",
           "netmask_v6")  # fmt: skip
_OPERATORS_FIELDS = (
    "created_at", "updated_at", "deleted_at", "deleted", "injected", "bridge", "vlan",
    "vpn_public_address", "vpn_public_port", "vpn_private_address", "dhcp_start", "project_id",
    "host", "bridge_interface", "multi_host", "priority", "rxtx_base", "mtu", "dhcp_server",
    "enable_dhcp", "share_address",
)  # fmt: skip


async def index(app: App, req: Request) -> Any:
    """GET /os-networks"""
    found = (await fetch(app.network, req, _NETWORKS))["networks"]
    return {"networks": [_view(n, req) for n in found]}


async def show(app: App, req: Request) -> Any:
    """GET /os-networks/{network_id}"""
    return {"network": _view(await _get(app, req), req)}


async def list_of_project(app: App, req: Request) -> Any:
    """GET /os-tenant-networks"""
    found = (await fetch(app.network, req, _NETWORKS))["networks"]
    return {"networks": [_short(n) for n in found]}


async def show_of_project(app: App, req: Request) -> Any:
    """GET /os-tenant-networks/{network_id}"""
    return {"network": _short(await _get(app, req))}


async def _get(app: App, req: Request) -> dict[str, Any]:
    try:
        path = f"{_NETWORKS}/{req.params['network_id']}"
        found: dict[str, Any] = (await fetch(app.network, req, path))["network"]
    except NotFound as e:
        raise NotFound("Network not found", code="NetworkNotFound") from e
    return found


def _view(network: dict[str, Any], req: Request) -> dict[str, Any]:
    more = _OPERATORS_FIELDS if lookup.is_admin(req) else ()
    return dict.fromkeys((*_FIELDS, *more)) | {"id": network["id"], "label": network["name"]}


def _short(network: dict[str, Any]) -> dict[str, Any]:
    return {"id": network["id"], "label": network["name"], "cidr": "None"}  # the word, as ever
