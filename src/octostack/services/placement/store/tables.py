# SPDX-License-Identifier: Apache-2.0
"""The tables. Names stand in them as text, so a dump can be read."""

import sqlalchemy as sa

metadata = sa.MetaData()

# One row. `seq` counts the changes of providers: every write adds one and marks with it the
# providers it touched, so whoever remembers the last number finds what changed since.
world = sa.Table(
    "world",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("names_seq", sa.BigInteger, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
)

providers = sa.Table(
    "providers",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False, unique=True),
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("parent_id", sa.String(36), sa.ForeignKey("providers.id"), index=True),
    sa.Column("root_id", sa.String(36), nullable=False, index=True),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False, index=True),
)

removed_providers = sa.Table(
    "removed_providers",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False, index=True),
    sa.Column("removed_at", sa.Float, nullable=False),
)

inventories = sa.Table(
    "inventories",
    metadata,
    sa.Column("provider_id", sa.String(36), sa.ForeignKey("providers.id"), primary_key=True),
    sa.Column("resource_class", sa.String(255), primary_key=True),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("reserved", sa.BigInteger, nullable=False),
    sa.Column("min_unit", sa.BigInteger, nullable=False),
    sa.Column("max_unit", sa.BigInteger, nullable=False),
    sa.Column("step_size", sa.BigInteger, nullable=False),
    sa.Column("allocation_ratio", sa.Double, nullable=False),
    sa.Column("changed_at", sa.Float, nullable=False),
)

provider_traits = sa.Table(
    "provider_traits",
    metadata,
    sa.Column("provider_id", sa.String(36), sa.ForeignKey("providers.id"), primary_key=True),
    sa.Column("trait", sa.String(255), primary_key=True),
)

provider_aggregates = sa.Table(
    "provider_aggregates",
    metadata,
    sa.Column("provider_id", sa.String(36), sa.ForeignKey("providers.id"), primary_key=True),
    sa.Column("aggregate", sa.String(36), primary_key=True),
)

custom_names = sa.Table(
    "custom_names",
    metadata,
    sa.Column("kind", sa.String(8), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
)

consumers = sa.Table(
    "consumers",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("project_id", sa.String(255), nullable=False, index=True),
    sa.Column("user_id", sa.String(255), nullable=False),
    sa.Column("consumer_type", sa.String(255)),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
)

allocations = sa.Table(
    "allocations",
    metadata,
    sa.Column("consumer_id", sa.String(36), sa.ForeignKey("consumers.id"), primary_key=True),
    sa.Column("provider_id", sa.String(36), sa.ForeignKey("providers.id"), primary_key=True),
    sa.Column("resource_class", sa.String(255), primary_key=True),
    sa.Column("used", sa.BigInteger, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Index("ix_allocations_provider", "provider_id", "resource_class"),
)
