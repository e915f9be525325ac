# SPDX-License-Identifier: Apache-2.0
"""Who is asking: what every service knows of a caller, and what it may ask of Identity."""

import msgspec


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
    request_id: str = ""

    @property
    def is_admin(self) -> bool:
        """True when the token carries the admin role, in any scope."""
        return "admin" in self.roles
