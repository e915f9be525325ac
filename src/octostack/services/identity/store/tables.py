# SPDX-License-Identifier: Apache-2.0
"""The tables. Column names are the field names of the model's Structs.

A domain is a row of `projects`. ``domain_id`` is "" where the model says None, because a unique
constraint does not hold over NULLs (names of domains and of global roles are unique as well).
"""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()


def _id() -> Column[str]:
    return Column("id", String(64), primary_key=True)


def _ref(name: str, target: str, *, nullable: bool = False, index: bool = True) -> Column[str]:
    """A column that goes with the row it refers to."""
    foreign = ForeignKey(f"{target}.id", ondelete="CASCADE")
    return Column(name, String(64), foreign, nullable=nullable, index=index)


projects = Table(
    "projects",
    metadata,
    _id(),
    Column("name", String(64), nullable=False),
    Column("domain_id", String(64), nullable=False),
    Column("parent_id", String(64), index=True),
    Column("is_domain", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("description", Text, nullable=False),
    Column("options", JSON, nullable=False),
    Column("extra", JSON, nullable=False),
    UniqueConstraint("domain_id", "name"),
)

project_tags = Table(
    "project_tags",
    metadata,
    Column(
        "project_id", String(64), ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("name", String(255), primary_key=True),
)

users = Table(
    "users",
    metadata,
    _id(),
    Column("name", String(255), nullable=False),
    Column("domain_id", String(64), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("default_project_id", String(64)),
    Column("description", Text),
    Column("options", JSON, nullable=False),
    Column("extra", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("last_active_at", Float),
    Column("failed_count", Integer, nullable=False),
    Column("failed_at", Float),
    UniqueConstraint("domain_id", "name"),
)

passwords = Table(
    "passwords",
    metadata,
    _id(),
    _ref("user_id", "users"),
    Column("hash", String(255), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("self_service", Boolean, nullable=False),
)

groups = Table(
    "groups",
    metadata,
    _id(),
    Column("name", String(64), nullable=False),
    Column("domain_id", String(64), nullable=False),
    Column("description", Text, nullable=False),
    Column("extra", JSON, nullable=False),
    UniqueConstraint("domain_id", "name"),
)

memberships = Table(
    "memberships",
    metadata,
    Column("user_id", String(64), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column(
        "group_id",
        String(64),
        ForeignKey("groups.id", ondelete="CASCADE"),
        primary_key=True,
        index=True,
    ),
)

roles = Table(
    "roles",
    metadata,
    _id(),
    Column("name", String(255), nullable=False),
    Column("domain_id", String(64), nullable=False),
    Column("description", Text),
    Column("options", JSON, nullable=False),
    Column("extra", JSON, nullable=False),
    UniqueConstraint("domain_id", "name"),
)

implied_roles = Table(
    "implied_roles",
    metadata,
    Column(
        "prior_role_id", String(64), ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True
    ),
    Column(
        "implied_role_id",
        String(64),
        ForeignKey("roles.id", ondelete="CASCADE"),
        primary_key=True,
        index=True,
    ),
)

# Actor and target are of several tables: the store deletes assignments with what they name.
assignments = Table(
    "assignments",
    metadata,
    Column("actor", String(8), nullable=False),
    Column("actor_id", String(64), primary_key=True),
    Column("target", String(8), primary_key=True),
    Column("target_id", String(64), primary_key=True, index=True),
    Column(
        "role_id",
        String(64),
        ForeignKey("roles.id", ondelete="CASCADE"),
        primary_key=True,
        index=True,
    ),
    Column("inherited", Boolean, primary_key=True),
)

services = Table(
    "services",
    metadata,
    _id(),
    Column("type", String(255), nullable=False),
    Column("name", String(255)),
    Column("description", Text),
    Column("enabled", Boolean, nullable=False),
    Column("extra", JSON, nullable=False),
)

regions = Table(
    "regions",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("description", Text, nullable=False),
    Column("parent_region_id", String(255), index=True),
    Column("extra", JSON, nullable=False),
)

policies = Table(
    "policies",
    metadata,
    _id(),
    Column("blob", Text, nullable=False),
    Column("type", String(255), nullable=False),
    Column("extra", JSON, nullable=False),
)

endpoints = Table(
    "endpoints",
    metadata,
    _id(),
    _ref("service_id", "services"),
    Column("interface", String(8), nullable=False),
    Column("url", Text, nullable=False),
    Column("region_id", String(255), ForeignKey("regions.id")),
    Column("enabled", Boolean, nullable=False),
    Column("extra", JSON, nullable=False),
)

endpoint_groups = Table(
    "endpoint_groups",
    metadata,
    _id(),
    Column("name", String(255), nullable=False),
    Column("description", Text),
    Column("filters", JSON, nullable=False),
)


def _shown_to(name: str, kind: Table, column: str) -> Table:
    """Which projects see something of `kind` in their catalog."""
    return Table(
        name,
        metadata,
        Column(column, String(64), ForeignKey(kind.c.id, ondelete="CASCADE"), primary_key=True),
        Column(
            "project_id",
            String(64),
            ForeignKey("projects.id", ondelete="CASCADE"),
            primary_key=True,
            index=True,
        ),
    )


project_endpoints = _shown_to("project_endpoints", endpoints, "endpoint_id")
project_endpoint_groups = _shown_to("project_endpoint_groups", endpoint_groups, "endpoint_group_id")

credentials = Table(
    "credentials",
    metadata,
    _id(),
    _ref("user_id", "users"),
    Column("project_id", String(64), index=True),
    Column("type", String(255), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("extra", JSON, nullable=False),
)

application_credentials = Table(
    "application_credentials",
    metadata,
    _id(),
    Column("name", String(255), nullable=False),
    _ref("user_id", "users"),
    _ref("project_id", "projects"),
    Column("secret_hash", String(255), nullable=False),
    Column("description", Text),
    Column("expires_at", Float),
    Column("unrestricted", Boolean, nullable=False),
    Column("role_ids", JSON, nullable=False),
    Column("access_rule_ids", JSON),
    UniqueConstraint("user_id", "name"),
)

access_rules = Table(
    "access_rules",
    metadata,
    _id(),
    _ref("user_id", "users"),
    Column("service", String(64), nullable=False),
    Column("method", String(16), nullable=False),
    Column("path", String(128), nullable=False),
    UniqueConstraint("user_id", "service", "method", "path"),
)

registered_limits = Table(
    "registered_limits",
    metadata,
    _id(),
    Column("service_id", String(64), ForeignKey("services.id"), nullable=False),
    Column("region_id", String(255), ForeignKey("regions.id")),
    Column("resource_name", String(255), nullable=False),
    Column("default_limit", Integer, nullable=False),
    Column("description", Text),
)

limits = Table(
    "limits",
    metadata,
    _id(),
    Column("registered_limit_id", String(64), ForeignKey("registered_limits.id"), nullable=False),
    Column("project_id", String(64), index=True),
    Column("domain_id", String(64), index=True),
    Column("resource_limit", Integer, nullable=False),
    Column("description", Text),
)

revocations = Table(
    "revocations",
    metadata,
    _id(),
    Column("issued_before", Float, nullable=False),
    Column("revoked_at", Float, nullable=False, index=True),
    Column("user_id", String(64)),
    Column("project_id", String(64)),
    Column("domain_id", String(64)),
    Column("audit_id", String(32)),
    Column("audit_chain_id", String(32)),
    Column("application_credential_id", String(64)),
)

Index("ix_passwords_newest", passwords.c.user_id, passwords.c.created_at)
