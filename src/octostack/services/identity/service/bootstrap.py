# SPDX-License-Identifier: Apache-2.0
"""What is there from the beginning, made once and found again at every start.

Projects admin, demo and service; users admin (admin on the project, the default domain and the
system), demo (member of demo) and one for each service; the roles with their chain; the catalog,
whose URLs follow the port. What an operator changes later stays as it is.
"""

from typing import Any

from octostack.base import clock, ids
from octostack.runtime.db import Tx
from octostack.runtime.secrets import Secrets
from octostack.runtime.service import Runtime
from octostack.services.identity.api.app import App
from octostack.services.identity.core import hashes
from octostack.services.identity.model import (
    DEFAULT_DOMAIN_ID,
    SYSTEM,
    Assignment,
    Endpoint,
    Interface,
    Password,
    Project,
    Region,
    Role,
    Service,
    User,
)
from octostack.services.identity.store import assignments, rows, users

ROLES = ("admin", "manager", "member", "reader", "service")
CHAIN = (("admin", "manager"), ("manager", "member"), ("member", "reader"))
PROJECTS = ("admin", "demo", "service")
# User: the projects and the role there. The password is the secret NAME-password.
PEOPLE = {"admin": ("admin", "admin"), "demo": ("demo", "member")}
SERVICE_USERS = ("glance", "nova", "neutron", "placement")
INTERFACES: tuple[Interface, ...] = ("public", "internal", "admin")
# Type, name, description, path under the public URL.
CATALOG = (
    ("identity", "keystone", "Identity", "/identity"),
    ("image", "glance", "Image", "/image"),
    ("compute", "nova", "Compute", "/compute/v2.1"),
    ("placement", "placement", "Placement", "/placement"),
    ("network", "neutron", "Network", "/networking"),
)


async def run(app: App, runtime: Runtime) -> None:
    """Make whatever of this is missing."""
    async with app.write() as tx:
        if await rows.find(tx, rows.PROJECTS, DEFAULT_DOMAIN_ID) is None:
            await _first_time(tx, runtime.secrets)
        await _catalog(tx, runtime, app.config.region)


async def _first_time(tx: Tx, secrets: Secrets) -> None:
    domain = Project(
        id=DEFAULT_DOMAIN_ID,
        name="Default",
        is_domain=True,
        description="The default domain",
    )
    await rows.insert(tx, rows.PROJECTS, domain)
    roles = {name: Role(id=ids.new_hex(), name=name) for name in ROLES}
    for role in roles.values():
        await rows.insert(tx, rows.ROLES, role)
    for prior, implied in CHAIN:
        await assignments.insert_implication(tx, roles[prior].id, roles[implied].id)
    projects = {name: await _project(tx, name) for name in PROJECTS}
    for name, (project, role_name) in PEOPLE.items():
        user = await _user(tx, secrets, name, projects[project].id)
        await _grant(tx, user, roles[role_name], target="project", target_id=projects[project].id)
        if name == "admin":
            await _grant(tx, user, roles["admin"], target="system", target_id=SYSTEM)
            await _grant(tx, user, roles["admin"], target="domain", target_id=DEFAULT_DOMAIN_ID)
            await _grant(tx, user, roles["admin"], target="project", target_id=projects["demo"].id)
    for name in SERVICE_USERS:
        user = await _user(tx, secrets, name, None)
        for role_name in ("admin", "service"):
            target_id = projects["service"].id
            await _grant(tx, user, roles[role_name], target="project", target_id=target_id)


async def _project(tx: Tx, name: str) -> Project:
    project = Project(
        id=ids.new_hex(), name=name, domain_id=DEFAULT_DOMAIN_ID, parent_id=DEFAULT_DOMAIN_ID
    )
    return await rows.insert(tx, rows.PROJECTS, project)


async def _user(tx: Tx, secrets: Secrets, name: str, default_project_id: str | None) -> User:
    now = clock.now()
    user = User(
        id=ids.new_hex(),
        name=name,
        domain_id=DEFAULT_DOMAIN_ID,
        default_project_id=default_project_id,
        created_at=now,
    )
    await rows.insert(tx, rows.USERS, user)
    salt = clock.token_bytes(hashes.SALT_BYTES)
    hash = hashes.make(secrets.text(f"{name}-password"), salt, hashes.RANDOM_WORD)
    password = Password(id=ids.new_hex(), user_id=user.id, hash=hash, created_at=now)
    await users.insert_password(tx, password, keep=0)
    return user


async def _grant(tx: Tx, user: User, role: Role, **target: Any) -> None:
    await assignments.insert(
        tx, Assignment(actor="user", actor_id=user.id, role_id=role.id, **target)
    )


async def _catalog(tx: Tx, runtime: Runtime, region_id: str) -> None:
    """Every service with its endpoints; those still where we put them move with the port."""
    if await rows.find(tx, rows.REGIONS, region_id) is None:
        await rows.insert(tx, rows.REGIONS, Region(id=region_id))
    for kind, name, description, path in CATALOG:
        service = await rows.find_by(tx, rows.SERVICES, type=kind, name=name)
        if service is None:
            service = Service(id=ids.new_hex(), type=kind, name=name, description=description)
            await rows.insert(tx, rows.SERVICES, service)
        await _endpoints(tx, service, region_id, (runtime.endpoint(kind), path))


async def _endpoints(tx: Tx, service: Service, region_id: str, where: tuple[str, str]) -> None:
    base_url, path = where
    own = rows.Listing(equal={"service_id": service.id, "region_id": region_id})
    found = {e.interface: e for e in await rows.list_all(tx, rows.ENDPOINTS, own)}
    url = base_url + path
    for interface in INTERFACES:
        endpoint = found.get(interface)
        if endpoint is None:
            endpoint = Endpoint(
                id=ids.new_hex(),
                service_id=service.id,
                interface=interface,
                url=url,
                region_id=region_id,
            )
            await rows.insert(tx, rows.ENDPOINTS, endpoint)
        elif endpoint.url != url and endpoint.url.endswith(path):
            await rows.update(tx, rows.ENDPOINTS, endpoint, {"url": url})
