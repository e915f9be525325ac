# SPDX-License-Identifier: Apache-2.0
"""POST /servers: everything that is looked up before the rows are written."""

import base64
from typing import Any

import msgspec

from octostack.base import clock, ids
from octostack.base.errors import Forbidden, Invalid, NotFound, OverQuota
from octostack.contracts.identity import Caller
from octostack.contracts.image import ImageInfo
from octostack.contracts.network import NicRequest as NetworkNic
from octostack.contracts.network import NicRequests
from octostack.runtime.http import Request, Response
from octostack.services.compute.api import lookup
from octostack.services.compute.core import boot
from octostack.services.compute.core.scheduling.world import DEFAULT_ZONE
from octostack.services.compute.model import (
    Action,
    Flavor,
    Image,
    KeyPair,
    NewServer,
    Server,
    Usage,
)
from octostack.services.compute.schema import server_view
from octostack.services.compute.schema import servers as schema
from octostack.services.compute.store.api_db import flavors, groups, keypairs, mappings, quotas
from octostack.services.compute.store.app import CELL, App
from octostack.services.compute.store.cell_db import actions, servers

_P = "os_compute_api:servers:create:"
_NOTHING_USED = Usage()
_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


async def create(app: App, req: Request) -> Response:
    """POST /servers"""
    caller = req.caller
    if not caller.project_id:
        raise Forbidden("A project-scoped token is needed to create a server.", code="scope")
    new = _placed(app, req, schema.read(req.body, req.version))
    if isinstance(new.networks, tuple):
        req.authorize(lookup.own(req), _P + "attach_network")
    flavor, key, limits = await _global_facts(app, req, new)
    if flavor.root_gb == 0 and not req.allowed(_P + "zero_disk_flavor", lookup.own(req)):
        raise Forbidden(
            "Only volume-backed servers are allowed for flavors with zero disk.",
            code="BootFromVolumeRequiredForZeroDiskFlavor",
        )
    images = await _images(app, caller, new)
    boot.check_image(flavor, images["image"])
    group_id = await _group(app, req, new, limits)
    nics = await _nics(app, caller, new)
    password = new.admin_pass or new_password()
    if images["image"].properties.get("img_config_drive") == "mandatory":
        new = msgspec.structs.replace(new, config_drive=True)
    new = msgspec.structs.replace(new, admin_pass=password)
    facts = boot.Facts(
        flavor=flavor,
        image=images["image"],
        key=key,
        group_id=group_id,
        used=_NOTHING_USED,
        limits=limits,
        project_id=caller.project_id,
        user_id=caller.user_id,
        now=clock.now(),
    )
    extra = {"nics": nics} | {k: msgspec.to_builtins(v) for k, v in images.items() if k != "image"}
    made = await _write(app, caller, new, (facts, extra))
    location = {"Location": f"{req.base_url}/servers/{made[0].id}"}
    if new.return_reservation_id:
        return Response({"reservation_id": made[0].reservation_id})
    return Response(server_view.created(made[0], req.base_url, password), headers=location)


async def _write(
    app: App, caller: Caller, new: NewServer, given: tuple[boot.Facts, dict[str, Any]]
) -> list[Server]:
    """The rows, their actions and their boot sagas: all in one transaction of the cell."""
    facts, extra = given
    new_ids = [ids.new() for _ in range(new.max_count)]
    project_id = facts.project_id
    # Checked here for a quick answer, and again below where it counts.
    async with app.cell_db.read() as tx:
        used = await servers.usage(tx, project_id)
    planned = boot.plan(new, msgspec.structs.replace(facts, used=used), new_ids, _reservation())
    new_ids = [s.id for s in planned]
    async with app.api_db.write() as tx:
        await mappings.insert(tx, new_ids, project_id, CELL)
        if facts.group_id:
            await groups.add_members(tx, facts.group_id, new_ids)
    async with app.cell_db.write() as tx:
        used = await servers.usage(tx, project_id)
        made = boot.plan(
            new, msgspec.structs.replace(facts, used=used), new_ids, planned[0].reservation_id
        )
        made = [msgspec.structs.replace(s, boot=s.boot | extra) for s in made]
        await servers.insert(tx, made)
        await actions.insert_many(tx, [action(caller, s.id, "create") for s in made])
        for server in made:
            await app.order_boot(tx, server, caller)
    return made


def action(caller: Caller, server_id: str, name: str) -> Action:
    """What the caller does, for os-instance-actions."""
    return Action(
        server_id=server_id,
        action=name,
        request_id=caller.request_id,
        user_id=caller.user_id,
        project_id=caller.project_id or "",
        started_at=clock.now(),
    )


async def _global_facts(
    app: App, req: Request, new: NewServer
) -> tuple[Flavor, KeyPair | None, dict[str, int]]:
    caller = req.caller
    key = None
    async with app.api_db.read() as tx:
        try:
            flavor = await flavors.get(
                tx,
                new.flavor_id,
                project_id=caller.project_id,
                all_projects=lookup.is_admin(req),
            )
        except NotFound as e:
            raise Invalid(e.message, code=e.code, field="flavorRef") from e
        if new.key_name is not None:
            key = await keypairs.find(tx, caller.user_id, new.key_name)
            if key is None:
                raise Invalid(
                    "Invalid key_name provided.", code="KeypairNotFound", field="key_name"
                )
        limits = await quotas.effective(tx, caller.project_id or "", caller.user_id)
    return flavor, key, limits


def _placed(app: App, req: Request, new: NewServer) -> NewServer:
    """The request with its zone and host sorted out, and each of them allowed."""
    zone, host, node = new.availability_zone, new.host, new.hypervisor_hostname
    if host or node:
        req.authorize(lookup.own(req), "compute:servers:create:requested_destination")
        if zone and ":" in zone:
            raise Invalid(
                "Zone with a host and a requested host cannot be given together.",
                field="availability_zone",
            )
    if zone and ":" in zone:
        parts = zone.split(":")
        if len(parts) > 3 or (not parts[0] and not any(parts[1:])):
            raise Invalid("Unable to parse availability_zone", field="availability_zone")
        zone = parts[0] or None
        host = parts[1] or None if len(parts) > 1 else None
        node = parts[2] or None if len(parts) > 2 else None
        if host or node:
            req.authorize(lookup.own(req), _P + "forced_host")
    if zone and zone != DEFAULT_ZONE and not app.world.zone_bits(zone):
        raise Invalid("The requested availability zone is not available", field="availability_zone")
    if host and host not in app.world.by_host:
        raise Invalid(f"Compute host {host} could not be found.", field="host")
    if node and node not in {h.hypervisor_hostname for h in app.world.hosts}:
        raise Invalid(f"Compute host {node} could not be found.", field="hypervisor_hostname")
    return msgspec.structs.replace(new, availability_zone=zone, host=host, hypervisor_hostname=node)


async def _images(app: App, caller: Caller, new: NewServer) -> dict[str, Image]:
    """The image, with the kernel and ramdisk it names."""
    found = {"image": await image(app, caller, new.image_id)}
    for key in ("kernel", "ramdisk"):
        other = found["image"].properties.get(f"{key}_id")
        if other:
            found[key] = await image(app, caller, other)
    return found


async def image(app: App, caller: Caller, image_id: str) -> Image:
    """An image the caller may use. Raises Invalid."""
    try:
        return image_facts(await app.images.get(caller, image_id))
    except NotFound as e:
        raise Invalid(
            f"Image {image_id} could not be found.", code="ImageNotFound", field="imageRef"
        ) from e


def image_facts(info: ImageInfo) -> Image:
    """What Compute keeps of an image."""
    return Image(
        id=info.id,
        name=info.name or "",
        status=info.status,
        disk_format=info.disk_format or "raw",
        size_bytes=info.size_bytes or 0,
        virtual_size_bytes=info.virtual_size_bytes or 0,
        min_disk_gb=info.min_disk,
        min_ram_mb=info.min_ram,
        sha512=info.sha512 or "",
        owner=info.owner or "",
        properties=dict(info.properties),
    )


async def _group(app: App, req: Request, new: NewServer, limits: dict[str, int]) -> str | None:
    group_id = new.hints.get("group")
    if not group_id:
        return None
    async with app.api_db.read() as tx:
        group = await groups.find(tx, str(group_id))
    if group is None or (group.project_id != req.caller.project_id and not lookup.is_admin(req)):
        raise Invalid(
            f"Instance group {group_id} could not be found.", code="InstanceGroupNotFound",
            field="group",
        )  # fmt: skip
    most = limits["server_group_members"]
    if 0 <= most < len(group.members) + new.min_count:
        raise OverQuota("Quota exceeded, too many servers in group", code="OverQuota")
    return group.id


async def _nics(app: App, caller: Caller, new: NewServer) -> list[dict[str, Any]]:
    """The interfaces, checked by Network; each with its tag."""
    names = tuple(n for n in new.security_groups if n != "default")
    try:
        if names:
            await app.network.list_security_groups(caller, names)
        planned = await app.network.plan_nics(caller, _requests(new))
    except NotFound as e:
        raise Invalid(e.message, code=e.code, field="networks") from e
    tags = [n.tag for n in new.networks] if isinstance(new.networks, tuple) else []
    return [
        {"planned": msgspec.to_builtins(p), "tag": tags[i] if i < len(tags) else ""}
        for i, p in enumerate(planned)
    ]


def _requests(new: NewServer) -> NicRequests:
    if isinstance(new.networks, str):
        return NicRequests(mode=new.networks, count=new.max_count)
    nics = tuple(
        NetworkNic(
            network_id=n.network_id or None,
            port_id=n.port_id or None,
            fixed_ip=n.fixed_ip or None,
        )
        for n in new.networks
    )
    return NicRequests(mode="listed", nics=nics, count=new.max_count)


def new_password() -> str:
    """Twelve letters and digits that are not mistaken for one another."""
    return "".join(_LETTERS[b % len(_LETTERS)] for b in clock.token_bytes(12))


def _reservation() -> str:
    return "r-" + base64.b32encode(clock.token_bytes(5)).decode().lower()
