# SPDX-License-Identifier: Apache-2.0
"""What is there from the beginning, made once and found again at every start.

Projects admin, demo and service; users admin (admin on the project, the default domain and the
system), demo (member of demo) and one for each service; the roles with their chain; the catalog,
whose URLs follow the port. What an operator changes later stays as it is.
"""

from collections.abc import Mapping

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
    TargetKind,
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
    """Everything as one insert a table: this is on the way to the first token."""
    domain = Project(
        id=DEFAULT_DOMAIN_ID, name="Default", is_domain=True, description="The default domain"
    )
    projects = {name: _project(name) for name in PROJECTS}
    # Policies rest on these: who really wants to change one takes the option away first.
    fixed = {"immutable": True}
    roles = {name: Role(id=ids.new_hex(), name=name, options=fixed) for name in ROLES}
    people = {name: _user(name, projects[project].id) for name, (project, _) in PEOPLE.items()}
    people |= {name: _user(name, None) for name in SERVICE_USERS}
    chain = [(roles[prior].id, roles[implied].id) for prior, implied in CHAIN]
    await rows.insert_many(tx, rows.PROJECTS, [domain, *projects.values()])
    await rows.insert_many(tx, rows.ROLES, list(roles.values()))
    await rows.insert_many(tx, rows.USERS, list(people.values()))
    await users.insert_passwords(tx, [_password(secrets, user) for user in people.values()])
    await assignments.insert_implications(tx, chain)
    await assignments.insert_many(tx, _grants(people, roles, projects))


def _grants(
    people: Mapping[str, User], roles: Mapping[str, Role], projects: Mapping[str, Project]
) -> list[Assignment]:
    wanted: list[tuple[str, str, TargetKind, str]] = [
        (name, role, "project", projects[project].id) for name, (project, role) in PEOPLE.items()
    ]
    wanted += [
        ("admin", "admin", "system", SYSTEM),
        ("admin", "admin", "domain", DEFAULT_DOMAIN_ID),
        ("admin", "admin", "project", projects["demo"].id),
    ]
    wanted += [
        (name, role, "project", projects["service"].id)
        for name in SERVICE_USERS
        for role in ("admin", "service")
    ]
    return [
        Assignment(
            actor="user",
            actor_id=people[name].id,
            target=target,
            target_id=target_id,
            role_id=roles[role].id,
        )
        for name, role, target, target_id in wanted
    ]


def _project(name: str) -> Project:
    return Project(
        id=ids.new_hex(), name=name, domain_id=DEFAULT_DOMAIN_ID, parent_id=DEFAULT_DOMAIN_ID
    )


def _user(name: str, default_project_id: str | None) -> User:
    return User(
        id=ids.new_hex(),
        name=name,
        domain_id=DEFAULT_DOMAIN_ID,
        default_project_id=default_project_id,
        created_at=clock.now(),
    )


def _password(secrets: Secrets, user: User) -> Password:
    salt = clock.token_bytes(hashes.SALT_BYTES)
    hash = hashes.make(secrets.text(f"{user.name}-password"), salt, hashes.RANDOM_WORD)
    return Password(id=ids.new_hex(), user_id=user.id, hash=hash, created_at=clock.now())


async def _catalog(tx: Tx, runtime: Runtime, region_id: str) -> None:
    """Every service with its endpoints; those still where we put them move with the port."""
    if await rows.find(tx, rows.REGIONS, region_id) is None:
        await rows.insert(tx, rows.REGIONS, Region(id=region_id))
    services = {(one.type, one.name): one for one in await rows.list_all(tx, rows.SERVICES)}
    here = rows.Listing(equal={"region_id": region_id})
    found = {(e.service_id, e.interface): e for e in await rows.list_all(tx, rows.ENDPOINTS, here)}
    new_services: list[Service] = []
    new_endpoints: list[Endpoint] = []
    for kind, name, description, path in CATALOG:
        service = services.get((kind, name))
        if service is None:
            service = Service(id=ids.new_hex(), type=kind, name=name, description=description)
            new_services.append(service)
        url = runtime.endpoint(kind) + path
        for interface in INTERFACES:
            endpoint = found.get((service.id, interface))
            if endpoint is None:
                new_endpoints.append(_endpoint(service, interface, url, region_id))
            elif endpoint.url != url and endpoint.url.endswith(path):
                await rows.update(tx, rows.ENDPOINTS, endpoint, {"url": url})
    await rows.insert_many(tx, rows.SERVICES, new_services)
    await rows.insert_many(tx, rows.ENDPOINTS, new_endpoints)


def _endpoint(service: Service, interface: Interface, url: str, region_id: str) -> Endpoint:
    return Endpoint(
        id=ids.new_hex(),
        service_id=service.id,
        interface=interface,
        url=url,
        region_id=region_id,
    )
