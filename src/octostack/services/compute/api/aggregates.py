# SPDX-License-Identifier: Apache-2.0
"""Aggregates of hosts; one with the key availability_zone makes a zone."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from octostack.base import ids
from octostack.base.errors import Conflict, Invalid, NotFound
from octostack.contracts.placement import ProviderSpec
from octostack.runtime.http import Request, Response, Schema
from octostack.services.compute.api import lookup
from octostack.services.compute.core.scheduling.world import DEFAULT_ZONE
from octostack.services.compute.model import Aggregate
from octostack.services.compute.schema import aggregates as schema
from octostack.services.compute.schema import terms
from octostack.services.compute.store.api_db import aggregates as store
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import servers

_P = "os_compute_api:os-aggregates:"


async def index(app: App, req: Request) -> Any:
    """GET /os-aggregates"""
    async with app.api_db.read() as tx:
        found = await store.list_all(tx)
    return {"aggregates": [schema.view(a, req.version) for a in found]}


async def show(app: App, req: Request) -> Any:
    """GET /os-aggregates/{aggregate_id}"""
    return _shown(await _get(app, req), req)


async def create(app: App, req: Request) -> Any:
    """POST /os-aggregates"""
    given = req.body["aggregate"]
    zone = given.get("availability_zone")
    metadata = {"availability_zone": zone} if zone else {}
    async with app.api_db.write() as tx:
        await _refuse_double(await store.list_all(tx), given["name"], 0)
        made = await store.insert(tx, ids.new(), given["name"].strip(), metadata)
    await _follow(app)
    body = schema.view(made, req.version)
    del body["hosts"], body["metadata"]  # sic: a new one is shown without these
    return {"aggregate": body}


async def update(app: App, req: Request) -> Any:
    """PUT /os-aggregates/{aggregate_id}"""
    aggregate, given = await _get(app, req), req.body["aggregate"]
    changes: dict[str, Any] = {}
    async with app.api_db.write() as tx:
        if "name" in given:
            await _refuse_double(await store.list_all(tx), given["name"], aggregate.id)
            changes["name"] = given["name"].strip()
        if "availability_zone" in given:
            zone = {"availability_zone": given["availability_zone"]}
            await _refuse_zone_change(app, aggregate, zone)
            changes["metadata"] = _merged(aggregate, zone)
        aggregate = await store.update(tx, aggregate.id, **changes)
    await _follow(app)
    return _shown(aggregate, req)


async def delete(app: App, req: Request) -> None:
    """DELETE /os-aggregates/{aggregate_id}"""
    aggregate = await _get(app, req)
    if aggregate.hosts:
        raise Invalid(
            f"Cannot remove aggregate {aggregate.id}: it is not empty: remove its hosts first.",
            code="AggregateNotEmpty",
        )
    async with app.api_db.write() as tx:
        await store.delete(tx, aggregate.id)
    await _follow(app)


async def act(app: App, req: Request) -> Any:
    """POST /os-aggregates/{aggregate_id}/action"""
    name, handler = lookup.action(req, ACTIONS)
    aggregate = await handler(app, await _get(app, req), req.body[name])
    await _follow(app)
    return _shown(aggregate, req)


async def cache_images(app: App, req: Request) -> Any:
    """POST /os-aggregates/{aggregate_id}/images: a hint; hosts fetch images when they need them"""
    await _get(app, req)
    return Response(status=202)


async def _add_host(app: App, aggregate: Aggregate, body: dict[str, Any]) -> Aggregate:
    host = body["host"]
    if host not in app.world.by_host:
        raise NotFound(f"Compute host {host} could not be found.", code="ComputeHostNotFound")
    if host in aggregate.hosts:
        raise Conflict(
            f"Aggregate {aggregate.id} already has host {host}.", code="AggregateHostExists"
        )
    zone = aggregate.metadata.get("availability_zone")
    now = app.world.zone(host)
    if zone and now not in (zone, DEFAULT_ZONE):
        raise Conflict(
            f"Cannot add host to aggregate {aggregate.id}. Reason: One or more hosts already in "
            f"different availability zone(s) ['{now}'].",
            code="InvalidAggregateAction",
        )
    if zone and zone != now:
        await _refuse_servers(app, host, zone)
    async with app.api_db.write() as tx:
        fresh = await store.get(tx, aggregate.id)
        made = await store.update(tx, fresh.id, hosts=(*fresh.hosts, host))
    await _tell_placement(app, host)
    return made


async def _remove_host(app: App, aggregate: Aggregate, body: dict[str, Any]) -> Aggregate:
    host = body["host"]
    if host not in aggregate.hosts:
        raise NotFound(
            f"Aggregate {aggregate.id} has no host {host}.", code="AggregateHostNotFound"
        )
    if aggregate.metadata.get("availability_zone"):
        await _refuse_servers(app, host, DEFAULT_ZONE)
    async with app.api_db.write() as tx:
        fresh = await store.get(tx, aggregate.id)
        hosts = tuple(h for h in fresh.hosts if h != host)
        made = await store.update(tx, fresh.id, hosts=hosts)
    await _tell_placement(app, host)
    return made


async def _set_metadata(app: App, aggregate: Aggregate, body: dict[str, Any]) -> Aggregate:
    given = body["metadata"]
    zone = given.get("availability_zone", "")
    if zone is not None and ("availability_zone" in given and (not zone or ":" in zone)):
        raise Invalid("Aggregate metadata availability_zone is not a name", field="metadata")
    if "availability_zone" in given:
        await _refuse_zone_change(app, aggregate, given)
    async with app.api_db.write() as tx:
        fresh = await store.get(tx, aggregate.id)
        return await store.update(tx, fresh.id, metadata=_merged(fresh, given))


Handler = Callable[[App, Aggregate, Any], Awaitable[Aggregate]]
ACTIONS: dict[str, tuple[str, Schema, Handler]] = {
    "add_host": (_P + "add_host", schema.ADD_HOST, _add_host),
    "remove_host": (_P + "remove_host", schema.REMOVE_HOST, _remove_host),
    "set_metadata": (_P + "set_metadata", schema.SET_METADATA, _set_metadata),
}


def _shown(aggregate: Aggregate, req: Request) -> dict[str, Any]:
    return {"aggregate": schema.view(aggregate, req.version)}


async def _get(app: App, req: Request) -> Aggregate:
    text = req.params["aggregate_id"]
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise Invalid(f"Invalid aggregate id: {text[:100]}", field="id")
    number = int(text)
    if not 0 < number <= terms.INT32_MAX:
        raise NotFound(f"Aggregate {number} could not be found.", code="AggregateNotFound")
    async with app.api_db.read() as tx:
        return await store.get(tx, number)


async def _refuse_double(known: list[Aggregate], name: str, but: int) -> None:
    if any(a.name == name.strip() and a.id != but for a in known):
        raise Conflict(f"Aggregate {name} already exists.", code="AggregateNameExists")


async def _refuse_zone_change(app: App, aggregate: Aggregate, given: dict[str, Any]) -> None:
    zone = given.get("availability_zone") or DEFAULT_ZONE
    if aggregate.metadata.get("availability_zone", DEFAULT_ZONE) == zone:
        return
    for host in aggregate.hosts:
        other = app.world.zone_of.get(host)
        mine = aggregate.metadata.get("availability_zone")
        if zone != DEFAULT_ZONE and other and other != mine:
            raise Conflict(
                f"Cannot update aggregate {aggregate.id}. Reason: One or more hosts already in "
                f"different availability zone(s) ['{other}'].",
                code="InvalidAggregateAction",
            )
        await _refuse_servers(app, host, zone)


async def _refuse_servers(app: App, host: str, zone: str) -> None:
    """A host with servers does not change its zone under them."""
    if app.world.zone(host) == zone:
        return
    async with app.cell_db.read() as tx:
        if await servers.states_of_host(tx, host):
            raise Conflict(
                f"Cannot change the availability zone of host {host}: it has instances.",
                code="InvalidAggregateAction",
            )


def _merged(aggregate: Aggregate, given: dict[str, Any]) -> dict[str, str]:
    merged = aggregate.metadata | {k: v for k, v in given.items() if v is not None}
    return {k: v for k, v in merged.items() if not (k in given and given[k] is None)}


async def _tell_placement(app: App, host: str) -> None:
    """The host's provider is a member of what the host is in, for member_of queries."""
    async with app.api_db.read() as tx:
        member_of = tuple(a.uuid for a in await store.list_all(tx) if host in a.hosts)
    row = app.world.hosts[app.world.by_host[host]]
    spec = ProviderSpec(id=row.provider_id, name=row.hypervisor_hostname, aggregates=member_of)
    await app.placement.ensure_provider(spec)


async def _follow(app: App) -> None:
    async with app.api_db.read() as tx:
        app.world.put_aggregates(await store.list_all(tx))
