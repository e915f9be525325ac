# SPDX-License-Identifier: Apache-2.0
"""Services, hypervisors and availability zones: hosts as operators see them."""

from typing import Any

import msgspec

from octostack.base import clock
from octostack.base.errors import Conflict, Invalid, NotFound
from octostack.runtime.http import Request
from octostack.services.compute.api import lookup
from octostack.services.compute.core.scheduling.world import DEFAULT_ZONE
from octostack.services.compute.model import Host
from octostack.services.compute.schema import hosts as schema
from octostack.services.compute.schema import terms
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import hosts, servers

_OWN_SERVICES = ("nova-scheduler", "nova-conductor")


async def list_services(app: App, req: Request) -> Any:
    """GET /os-services"""
    wanted_host, wanted_binary = req.query.get("host"), req.query.get("binary")
    views = [
        schema.own_service(binary, n, clock.now(), req.version)
        for n, binary in enumerate(_OWN_SERVICES, 1)
    ]
    async with app.cell_db.read() as tx:
        found = await hosts.list_all(tx)
    views += [_service(app, h, req) for h in found]
    return {
        "services": [
            v
            for v in views
            if wanted_host in (None, v["host"]) and wanted_binary in (None, v["binary"])
        ]
    }


async def update_service(app: App, req: Request) -> Any:
    """PUT /os-services/{service_id}, and up to 2.52 /os-services/enable and the like"""
    key = req.params["service_id"]
    if req.version < (2, 53):
        return await _update_old(app, req, key)
    host = await _service_host(app, key)
    given, changes = req.body, dict[str, Any]()
    if "status" in given:
        changes["disabled"] = given["status"] == "disabled"
        changes["disabled_reason"] = given.get("disabled_reason")
        if given.get("disabled_reason") and not changes["disabled"]:
            raise Invalid(
                "Specifying disabled_reason when status is enabled is invalid.",
                field="disabled_reason",
            )
    elif "disabled_reason" in given:
        raise Invalid("Missing required field: status.", field="status")
    if "forced_down" in given:
        changes["forced_down"] = terms.truth(given["forced_down"])
    return {"service": _service(app, await _change(app, host, changes), req)}


async def _update_old(app: App, req: Request, verb: str) -> Any:
    check = schema.OLD_UPDATES.get(verb)
    if check is None or (verb == "force-down" and req.version < (2, 11)):
        raise NotFound("Unknown action", code="service.action")
    check.check(req.body or {})
    given = req.body
    async with app.cell_db.read() as tx:
        host = await hosts.find(tx, given["host"])
    if host is None or given["binary"] != host.binary:
        raise NotFound(
            f"Could not find binary {given['binary']} on host {given['host']}.",
            code="HostBinaryNotFound",
        )
    body: dict[str, Any] = {"host": host.host, "binary": host.binary}
    if verb == "force-down":
        forced = terms.truth(given.get("forced_down", False))
        await _change(app, host, {"forced_down": forced})
        return {"service": body | {"forced_down": forced}}
    disabled, reason = verb != "enable", given.get("disabled_reason")
    await _change(app, host, {"disabled": disabled, "disabled_reason": reason})
    body["status"] = "disabled" if disabled else "enabled"
    if verb == "disable-log-reason":
        body["disabled_reason"] = reason
    return {"service": body}


async def delete_service(app: App, req: Request) -> None:
    """DELETE /os-services/{service_id}"""
    host = await _service_host(app, req.params["service_id"], version=req.version)
    async with app.cell_db.read() as tx:
        if await servers.states_of_host(tx, host.host):
            raise Conflict(
                "Unable to delete compute service that is hosting instances. Migrate or delete "
                "the instances first.",
                code="ServiceInUse",
            )
    await app.placement.remove_provider(host.provider_id)
    async with app.cell_db.write() as tx:
        await hosts.delete(tx, host.id)
    app.world.drop_host(host.provider_id)


async def _change(app: App, host: Host, changes: dict[str, Any]) -> Host:
    changes["updated_at"] = clock.now()
    async with app.cell_db.write() as tx:
        await hosts.update(tx, host.id, **changes)
    host = msgspec.structs.replace(host, **changes)
    app.world.put_host(host, up=app.is_up(host))
    return host


async def _service_host(app: App, key: str, version: tuple[int, int] = (2, 53)) -> Host:
    if version < (2, 53):
        key_of: dict[str, Any] = {"id": _number(key)}
    else:
        _refuse_no_uuid(key)
        key_of = {"uuid": key}
    async with app.cell_db.read() as tx:
        try:
            return await hosts.get(tx, **key_of)
        except NotFound as e:
            raise NotFound(f"Service {key} could not be found.", code="ServiceNotFound") from e


def _service(app: App, host: Host, req: Request) -> dict[str, Any]:
    return schema.service(host, app.world.zone(host.host), app.is_up(host), req.version)


async def list_hypervisors(app: App, req: Request) -> Any:
    """GET /os-hypervisors"""
    found, more = await _page(app, req)
    with_servers = await _servers(app, req, found)
    views = [
        schema.hypervisor(h, app.is_up(h), req.version, with_servers.get(h.host)) for h in found
    ]
    return {"hypervisors": views} | more


async def list_hypervisor_details(app: App, req: Request) -> Any:
    """GET /os-hypervisors/detail"""
    found, more = await _page(app, req)
    with_servers = await _servers(app, req, found)
    views = []
    for h in found:
        view = schema.hypervisor_detail(h, _used(app, h), app.is_up(h), req.version)
        views.append(_with_servers(view, with_servers.get(h.host)))
    return {"hypervisors": views} | more


async def show_hypervisor(app: App, req: Request) -> Any:
    """GET /os-hypervisors/{hypervisor_id}"""
    host = await _hypervisor(app, req)
    view = schema.hypervisor_detail(host, _used(app, host), app.is_up(host), req.version)
    with_servers = await _servers(app, req, [host])
    return {"hypervisor": _with_servers(view, with_servers.get(host.host))}


async def show_uptime(app: App, req: Request) -> Any:
    """GET /os-hypervisors/{hypervisor_id}/uptime, up to 2.87"""
    host = await _hypervisor(app, req)
    if not app.is_up(host):
        raise Invalid(f"Service {host.host} is down", code="ComputeServiceUnavailable")
    view = schema.hypervisor(host, True, req.version)
    return {"hypervisor": view | {"uptime": schema.uptime(host)}}


async def show_statistics(app: App, _req: Request) -> Any:
    """GET /os-hypervisors/statistics, up to 2.87"""
    async with app.cell_db.read() as tx:
        found = [h for h in await hosts.list_all(tx) if not h.disabled]
    total: dict[str, int] = {}
    for host in found:
        for name, n in schema.usage(host, _used(app, host)).items():
            total[name] = total.get(name, 0) + n
    names = ("vcpus", "vcpus_used", "memory_mb", "memory_mb_used", "free_ram_mb", "local_gb",
             "local_gb_used", "free_disk_gb", "disk_available_least", "running_vms",
             "current_workload")  # fmt: skip
    return {"hypervisor_statistics": {"count": len(found)} | {n: total.get(n, 0) for n in names}}


async def search_hypervisors(app: App, req: Request) -> Any:
    """GET /os-hypervisors/{pattern}/search, up to 2.52"""
    found = await _matching(app, req.params["hypervisor_id"])
    return {"hypervisors": [schema.hypervisor(h, app.is_up(h), req.version) for h in found]}


async def list_hypervisor_servers(app: App, req: Request) -> Any:
    """GET /os-hypervisors/{pattern}/servers, up to 2.52"""
    views = []
    for host in await _matching(app, req.params["hypervisor_id"]):
        async with app.cell_db.read() as tx:
            on_it = await servers.names_of_host(tx, host.host)
        views.append(schema.hypervisor(host, app.is_up(host), req.version, on_it or None))
    return {"hypervisors": views}


async def _matching(app: App, pattern: str) -> list[Host]:
    async with app.cell_db.read() as tx:
        found = [h for h in await hosts.list_all(tx) if pattern in h.hypervisor_hostname]
    if not found:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    return found


async def _page(app: App, req: Request) -> tuple[list[Host], dict[str, Any]]:
    async with app.cell_db.read() as tx:
        found = await hosts.list_all(tx)
    if req.version >= (2, 53):
        pattern = req.query.get("hypervisor_hostname_pattern")
        if pattern is not None:
            if "limit" in req.query or "marker" in req.query:
                raise Invalid(
                    "Paging over hypervisors with the hypervisor_hostname_pattern query "
                    "parameter is not supported.",
                    field="hypervisor_hostname_pattern",
                )
            found = [h for h in found if pattern in h.hypervisor_hostname]
            if not found:
                raise NotFound(f"No hypervisor matching '{pattern[:100]}' could be found.")
    if req.version < (2, 33):
        return found, {}
    limit = lookup.whole_number(req, "limit")
    limit = app.config.max_limit if limit is None else min(limit, app.config.max_limit)
    marker = req.query.get("marker")
    if marker:
        at = [i for i, h in enumerate(found) if str(schema.hypervisor_id(h, req.version)) == marker]
        if not at:
            raise Invalid(f"marker [{marker[:100]}] not found", field="marker")
        found = found[at[0] + 1 :]
    page = found[:limit]
    if len(found) <= limit or not page:
        return page, {}
    last = str(schema.hypervisor_id(page[-1], req.version))
    return page, {"hypervisors_links": lookup.next_links(req, last)}


async def _servers(
    app: App, req: Request, found: list[Host]
) -> dict[str, list[tuple[str, str]] | None]:
    text = req.query.get("with_servers") if req.version >= (2, 53) else None
    if text is None or not terms.parse_truth(text, "with_servers"):
        return {}
    made: dict[str, list[tuple[str, str]] | None] = {}
    async with app.cell_db.read() as tx:
        for host in found:
            on_it = await servers.names_of_host(tx, host.host)
            made[host.host] = on_it or ([] if req.version >= (2, 75) else None)
    return made


def _with_servers(view: dict[str, Any], on_it: list[tuple[str, str]] | None) -> dict[str, Any]:
    if on_it is None:
        return view
    return view | {"servers": [{"name": name, "uuid": i} for i, name in on_it]}


async def _hypervisor(app: App, req: Request) -> Host:
    key = req.params["hypervisor_id"]
    if req.version >= (2, 53):
        _refuse_no_uuid(key)
        key_of: dict[str, Any] = {"provider_id": key}
    else:
        key_of = {"id": _number(key)}
    async with app.cell_db.read() as tx:
        try:
            return await hosts.get(tx, **key_of)
        except NotFound as e:
            raise NotFound(
                f"Hypervisor with ID '{key[:100]}' could not be found.",
                code="HypervisorNotFound",
            ) from e


def _used(app: App, host: Host) -> dict[str, int]:
    slot = app.world.slots.get(host.provider_id)
    if slot is None:
        return {"vcpus": 0, "memory_mb": 0, "disk_gb": 0, "count": 0}
    reserved = min(app.config.reserved_host_memory_mb, host.memory_mb)
    return {
        "vcpus": app.world.vcpus_used[slot],
        "memory_mb": app.world.memory_used[slot] + reserved,
        "disk_gb": app.world.disk_used[slot] + min(app.config.reserved_host_disk_gb, host.disk_gb),
        "count": app.world.count[slot],
    }


async def list_zones(app: App, _req: Request) -> Any:
    """GET /os-availability-zone"""
    found = await _zones(app)
    views = [
        {"zoneName": z, "zoneState": {"available": any(not h.disabled for h in members)},
         "hosts": None}
        for z, members in found.items()
    ]  # fmt: skip
    return {"availabilityZoneInfo": views}


async def list_zone_details(app: App, _req: Request) -> Any:
    """GET /os-availability-zone/detail"""
    now = clock.iso(clock.now(), micros=True, suffix="")
    own = {b: {"available": True, "active": True, "updated_at": now} for b in _OWN_SERVICES}
    views: list[dict[str, Any]] = [
        {"zoneName": "internal", "zoneState": {"available": True}, "hosts": {"control": own}}
    ]
    for zone, members in (await _zones(app)).items():
        views.append(
            {
                "zoneName": zone,
                "zoneState": {"available": any(not h.disabled for h in members)},
                "hosts": {h.host: {h.binary: _zone_service(app, h)} for h in members},
            }
        )
    return {"availabilityZoneInfo": views}


def _zone_service(app: App, host: Host) -> dict[str, Any]:
    seen = max(host.seen_at, app.seen.get(host.host, 0.0))
    return {
        "available": app.is_up(host),
        "active": not host.disabled,
        "updated_at": clock.iso(seen, micros=True, suffix=""),
    }


async def _zones(app: App) -> dict[str, list[Host]]:
    async with app.cell_db.read() as tx:
        found = await hosts.list_all(tx)
    zones: dict[str, list[Host]] = {}
    for host in found:
        zones.setdefault(app.world.zone(host.host), []).append(host)
    if not zones:
        zones[DEFAULT_ZONE] = []
    return dict(sorted(zones.items()))


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        return -1
    return int(text)


def _refuse_no_uuid(text: str) -> None:
    if not terms.FORMATS["uuid"](text):
        raise Invalid(f"Invalid uuid {text[:100]}", field="id")
