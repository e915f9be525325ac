# SPDX-License-Identifier: Apache-2.0
"""The scheduler: asks Placement what fits, `core.scheduling` where it belongs, and claims it."""

from collections.abc import Iterable, Mapping

import msgspec

from octostack.base import log
from octostack.base.errors import Conflict
from octostack.contracts.placement import CandidateQuery, Claim, RequestGroup
from octostack.services.compute.core import scheduling
from octostack.services.compute.core.scheduling.weighers import Weights
from octostack.services.compute.core.scheduling.world import DEFAULT_ZONE
from octostack.services.compute.model import Flavor, Host, Server
from octostack.services.compute.store.api_db import aggregates, groups
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import hosts

_log = log.get("scheduler")
_ROUNDS = 4  # how often to ask Placement again when all it offered was taken meanwhile

# The best of a hundred chosen at random is nearly as good as the best of ten thousand, and is
# found fifty times faster. A request for company looks at more.
_SAMPLE, _MANY = 100, 1000

NO_HOST = "No valid host was found. There are not enough hosts available."


async def place(app: App, server: Server, tried: tuple[str, ...] = ()) -> Host:
    """A host for the server, with its resources claimed. Raises Conflict NoValidHost.

    Again after a crash: what was claimed already is the answer.
    """
    request = await _request(app, server, tried)
    query = _query(app, request)
    weights = msgspec.convert(dict(app.config.weights), Weights)
    for _ in range(_ROUNDS):
        found = await app.placement.candidates(query)
        by_root = {c.root_id: c for c in found.candidates}
        await _learn(app, by_root)
        choice = scheduling.choose(app.world, request, by_root, weights)
        if not choice.slots:
            if query.limit and len(found.candidates) >= query.limit:
                query = msgspec.structs.replace(query, limit=0)  # it may be among the others
                continue
            held = await _held(app, server)
            if held:
                return held
            _log.info("no valid host", server=server.id, refused_by=choice.refused_by)
            raise Conflict(NO_HOST, code="NoValidHost", refused_by=choice.refused_by)
        for slot in choice.slots:
            host = app.world.hosts[slot]
            claimed = await _claimed(app, server, host, by_root[host.provider_id].allocations)
            if claimed:
                return claimed
    raise Conflict(NO_HOST, code="NoValidHost", refused_by="claims")


async def _learn(app: App, providers: Iterable[str]) -> None:
    """Take in those hosts of these providers that another process registered just now."""
    unknown = set(providers) - app.world.slots.keys()
    if not unknown:
        return
    async with app.cell_db.read() as tx:
        found = await hosts.list_of_providers(tx, unknown)
    for host in found:
        app.world.put_host(host, up=app.is_up(host))
    if found:
        async with app.api_db.read() as tx:
            app.world.put_aggregates(await aggregates.list_all(tx))


async def _claimed(
    app: App, server: Server, host: Host, wanted: Mapping[str, dict[str, int]]
) -> Host | None:
    """The host that is claimed now: this one, or the one claimed before a crash; else None."""
    try:
        await app.placement.claim(
            Claim(
                consumer_id=server.id,
                allocations=dict(wanted),
                project_id=server.project_id,
                user_id=server.user_id,
            )
        )
    except Conflict as e:
        _log.info("claim lost", server=server.id, why=e.code)
        return await _held(app, server) if e.code == "placement.concurrent_update" else None
    return host


async def _held(app: App, server: Server) -> Host | None:
    held = await app.placement.find_allocations(server.id)
    if not held:
        return None
    await _learn(app, held.allocations)
    slot = app.world.slots.get(next(iter(held.allocations), ""))
    return None if slot is None else app.world.hosts[slot]


async def _request(app: App, server: Server, tried: tuple[str, ...]) -> scheduling.Request:
    group = None
    if server.group_id:
        async with app.api_db.read() as tx:
            group = await groups.find(tx, server.group_id)
        if group:  # itself is no company
            others = tuple(m for m in group.members if m != server.id)
            group = msgspec.structs.replace(group, members=others)
    boot = server.boot
    return scheduling.Request(
        flavor=server.flavor,
        project_id=server.project_id,
        zone=server.pinned_zone or app.config.default_schedule_zone,
        host=boot.get("host"),
        node=boot.get("node"),
        image_properties=(boot.get("image") or {}).get("properties") or {},
        hints=boot.get("hints") or {},
        group=group,
        tried=tried,
    )


def _query(app: App, request: scheduling.Request) -> CandidateQuery:
    resources, required, forbidden = wanted_of(request.flavor)
    in_tree = None
    if request.host and request.host in app.world.by_host:
        in_tree = app.world.hosts[app.world.by_host[request.host]].provider_id
    member_of: tuple[tuple[str, ...], ...] = ()
    if request.zone and request.zone != DEFAULT_ZONE and not in_tree:
        zone = tuple(
            a.uuid
            for a, _ in app.world.aggregates.values()
            if a.metadata.get("availability_zone") == request.zone
        )
        member_of = (zone,) if zone else ()
    group = RequestGroup(
        resources=resources,
        required=required,
        forbidden=forbidden,
        member_of=member_of,
        in_tree=in_tree,
    )
    picky = request.group is not None or request.hints
    return CandidateQuery(groups=(group,), limit=_MANY if picky else _SAMPLE, spread=True)


def wanted_of(
    flavor: Flavor,
) -> tuple[dict[str, int], tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """What a flavor asks of Placement: resources, required and forbidden traits.

    Extra specs ``resources:CLASS`` and ``trait:NAME`` add to or replace the flavor's own.
    """
    swap_gb = -(-flavor.swap_mb // 1024)
    resources = {
        "VCPU": flavor.vcpus,
        "MEMORY_MB": flavor.memory_mb,
        "DISK_GB": flavor.root_gb + flavor.ephemeral_gb + swap_gb,
    }
    required, forbidden = [], []
    for key, value in flavor.extra_specs.items():
        scope, _, name = key.partition(":")
        if scope == "resources" and value.isdigit():
            resources[name] = int(value)
        elif scope == "trait" and value == "required":
            required.append((name,))
        elif scope == "trait" and value == "forbidden":
            forbidden.append(name)
    return {c: n for c, n in resources.items() if n > 0}, tuple(required), tuple(forbidden)
