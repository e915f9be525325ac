# SPDX-License-Identifier: Apache-2.0
"""The nouns of Identity. Ids are 32 hex digits unless a user chose them; times are epoch seconds.

`extra` holds attributes that Keystone lets users add to a resource.
"""

from typing import Any, Literal

import msgspec

JSON = dict[str, Any]

DEFAULT_DOMAIN_ID = "default"


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A project, or a domain (`is_domain`), which is the root of its projects' tree."""

    id: str
    name: str
    domain_id: str | None = None  # None for a domain itself
    parent_id: str | None = None
    is_domain: bool = False
    enabled: bool = True
    description: str = ""
    options: JSON = {}
    extra: JSON = {}


class User(msgspec.Struct, frozen=True, kw_only=True):
    """One who can log in. `options` hold exemptions from the password rules."""

    id: str
    name: str
    domain_id: str
    enabled: bool = True
    default_project_id: str | None = None
    description: str | None = None
    options: JSON = {}
    extra: JSON = {}
    created_at: float = 0.0
    last_active_at: float | None = None
    failed_count: int = 0
    failed_at: float | None = None


class Password(msgspec.Struct, frozen=True, kw_only=True):
    """A user's password; the newest is the one that works; `self_service`: set by its owner."""

    id: str
    user_id: str
    hash: str
    created_at: float
    expires_at: float | None = None
    self_service: bool = False


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A set of users that share assignments."""

    id: str
    name: str
    domain_id: str
    description: str = ""
    extra: JSON = {}


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """What an assignment gives. A domain's own role (`domain_id`) only implies others."""

    id: str
    name: str
    domain_id: str | None = None
    description: str | None = None
    options: JSON = {}
    extra: JSON = {}


Actor = Literal["user", "group"]
TargetKind = Literal["project", "domain", "system"]

SYSTEM = "system"  # the id of the one system


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """A role for an actor on a target; `inherited`: on what lies below the target instead."""

    actor: Actor
    actor_id: str
    target: TargetKind
    target_id: str
    role_id: str
    inherited: bool = False


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the catalog."""

    id: str
    type: str
    name: str | None = None
    description: str | None = None
    enabled: bool = True
    extra: JSON = {}


Interface = Literal["public", "internal", "admin"]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a service answers, for whom and in which region."""

    id: str
    service_id: str
    interface: Interface
    url: str
    region_id: str | None = None
    enabled: bool = True
    extra: JSON = {}


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """A place with endpoints of its own."""

    id: str
    description: str = ""
    parent_region_id: str | None = None
    extra: JSON = {}


class PolicyBlob(msgspec.Struct, frozen=True, kw_only=True):
    """A document of rules in the media type `type`, kept as it came."""

    id: str
    blob: str
    type: str
    extra: JSON = {}


class EndpointGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoints that fit all of `filters` (service_id, region_id, interface)."""

    id: str
    name: str
    description: str | None = None
    filters: JSON = {}


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """A secret of a user for something else (EC2, TOTP, a certificate); `sealed` at rest."""

    id: str
    user_id: str
    type: str
    sealed: bytes
    project_id: str | None = None
    extra: JSON = {}


class ApplicationCredential(msgspec.Struct, frozen=True, kw_only=True):
    """A login for a program: some roles of its owner on one project."""

    id: str
    name: str
    user_id: str
    project_id: str
    secret_hash: str
    description: str | None = None
    expires_at: float | None = None
    unrestricted: bool = False
    role_ids: tuple[str, ...] = ()
    access_rule_ids: tuple[str, ...] | None = None  # None: every request is allowed


class AccessRule(msgspec.Struct, frozen=True, kw_only=True):
    """A request that an application credential may make."""

    id: str
    user_id: str
    service: str
    method: str
    path: str


class RegisteredLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A default limit of one resource of one service."""

    id: str
    service_id: str
    resource_name: str
    default_limit: int
    region_id: str | None = None
    description: str | None = None


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """A project's or domain's own limit instead of the registered one."""

    id: str
    registered_limit_id: str
    resource_limit: int
    project_id: str | None = None
    domain_id: str | None = None
    description: str | None = None


class Revocation(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens issued before `issued_before` to which every given attribute applies are no more."""

    id: str
    issued_before: float
    revoked_at: float
    user_id: str | None = None
    project_id: str | None = None
    domain_id: str | None = None
    audit_id: str | None = None
    audit_chain_id: str | None = None
    application_credential_id: str | None = None


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What a token is for; nothing set: unscoped."""

    project_id: str | None = None
    domain_id: str | None = None
    system: bool = False

    @property
    def is_unscoped(self) -> bool:
        return not (self.project_id or self.domain_id or self.system)


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """The facts sealed into a token."""

    user_id: str
    methods: tuple[str, ...]
    expires_at: float
    audit_ids: tuple[str, ...]
    issued_at: float = 0.0
    scope: Scope = Scope()
    application_credential_id: str | None = None


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A good token with all that an answer or a decision needs."""

    payload: Payload
    user: User
    user_domain: Project
    project: Project | None = None
    domain: Project | None = None  # of a domain scope; of the project in a project scope
    roles: tuple[Role, ...] = ()
    password_expires_at: float | None = None
    application_credential: ApplicationCredential | None = None
    access_rules: tuple[AccessRule, ...] | None = None
