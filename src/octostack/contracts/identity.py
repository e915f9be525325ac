# SPDX-License-Identifier: Apache-2.0
"""Who is asking: what every service knows of a caller, and what it may ask of Identity.

A token is looked at on every request of every service, so callers keep what `authenticate` said
for a few seconds (`runtime.callers`) and drop it when Identity tells of a change (`CHANGED`). The
keys that tokens are sealed with never leave Identity.
"""

from abc import ABC, abstractmethod

import msgspec


class AccessRule(msgspec.Struct, frozen=True, kw_only=True):
    """A request that a token may be used for; `service` is a type of the catalog."""

    service: str
    method: str
    path: str


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The user behind a request, with the scope and roles of the token that came with it.

    Exactly one of `project_id`, `domain_id` and `system` says the scope; none: unscoped.
    """

    user_id: str
    user_name: str = ""
    user_domain_id: str = "default"
    project_id: str | None = None
    project_name: str | None = None
    project_domain_id: str | None = None
    domain_id: str | None = None
    domain_name: str | None = None
    system: bool = False
    roles: tuple[str, ...] = ()
    expires_at: float = 0.0
    audit_ids: tuple[str, ...] = ()
    application_credential_id: str | None = None
    service_user_id: str | None = None
    service_roles: tuple[str, ...] = ()
    access_rules: tuple[AccessRule, ...] | None = None  # None: for every request
    request_id: str = ""

    @property
    def is_admin(self) -> bool:
        """True when the token carries the admin role, in any scope."""
        return "admin" in self.roles


class Domain(msgspec.Struct, frozen=True, kw_only=True):
    """An owner of users, groups and projects."""

    id: str
    name: str
    enabled: bool = True


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """An owner of resources; `parent_id` is another project or the domain."""

    id: str
    name: str
    domain_id: str
    parent_id: str | None = None
    enabled: bool = True


class User(msgspec.Struct, frozen=True, kw_only=True):
    """One who can log in."""

    id: str
    name: str
    domain_id: str
    enabled: bool = True


CHANGED = "identity.tokens"  # the topic of `TokensChanged`


class TokensChanged(msgspec.Struct, frozen=True):
    """An event: every answer of `authenticate` so far may be wrong by now."""


class Identity(ABC):
    """What Identity promises to the other services."""

    VERSION = (2, 0)

    @abstractmethod
    async def authenticate(self, token: str) -> Caller:
        """Who holds `token`, with roles as they are now.

        Unauthorized when it is forged, expired, revoked, or its user, project or domain is
        disabled, gone or without a role.
        """

    @abstractmethod
    async def service_token(self, name: str) -> str:
        """A fresh token of service user `name` (nova, neutron, ...). NotFound if there is none."""

    @abstractmethod
    async def get_project(self, project_id: str) -> Project:
        """NotFound when there is no such project."""

    @abstractmethod
    async def get_domain(self, domain_id: str) -> Domain:
        """NotFound when there is no such domain."""

    @abstractmethod
    async def get_user(self, user_id: str) -> User:
        """NotFound when there is no such user."""

    @abstractmethod
    async def list_project_ids(self) -> tuple[str, ...]:
        """Every project there is, disabled ones included; for sweeps over what projects own."""
