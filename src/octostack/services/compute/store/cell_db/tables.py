# SPDX-License-Identifier: Apache-2.0
"""The tables of a cell."""

import sqlalchemy as sa

from octostack.runtime import lease, saga
from octostack.runtime.db import Typed
from octostack.services.compute.model import Fault, Flavor, Nic

metadata = sa.MetaData()

servers = sa.Table(
    "servers",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("project_id", sa.String(255), nullable=False),
    sa.Column("user_id", sa.String(255), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.String(255)),
    sa.Column("hostname", sa.String(255), nullable=False),
    sa.Column("image_id", sa.String(36), nullable=False),
    sa.Column("flavor_id", sa.String(255), nullable=False),
    sa.Column("vcpus", sa.Integer, nullable=False),
    sa.Column("memory_mb", sa.Integer, nullable=False),
    sa.Column("flavor", Typed(Flavor), nullable=False),
    sa.Column("vm_state", sa.String(32), nullable=False),
    sa.Column("task_state", sa.String(32)),
    sa.Column("power_state", sa.Integer, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("host", sa.String(255)),
    sa.Column("node", sa.String(255)),
    sa.Column("availability_zone", sa.String(255)),
    sa.Column("pinned_zone", sa.String(255)),
    sa.Column("key_name", sa.String(255)),
    sa.Column("locked_by", sa.String(16)),
    sa.Column("locked_reason", sa.String(255)),
    sa.Column("config_drive", sa.Boolean, nullable=False),
    sa.Column("user_data", sa.Text),
    sa.Column("access_ip_v4", sa.String(45)),
    sa.Column("access_ip_v6", sa.String(45)),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("tags", Typed(tuple[str, ...]), nullable=False),
    sa.Column("nics", Typed(tuple[Nic, ...]), nullable=False),
    sa.Column("fault", Typed(Fault)),
    sa.Column("reservation_id", sa.String(64), nullable=False),
    sa.Column("launch_index", sa.Integer, nullable=False),
    sa.Column("disk_config", sa.String(16), nullable=False),
    sa.Column("root_device", sa.String(64), nullable=False),
    sa.Column("progress", sa.Integer, nullable=False),
    sa.Column("group_id", sa.String(36)),
    sa.Column("order", sa.JSON, nullable=False),
    sa.Column("boot", sa.JSON, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
    sa.Column("launched_at", sa.Float),
    sa.Column("terminated_at", sa.Float),
    sa.Column("deleted_at", sa.Float),
    sa.Index("servers_project", "project_id", "created_at"),
    sa.Index("servers_host", "host"),
    sa.Index("servers_changed", "updated_at"),
    sa.Index("servers_task", "task_state"),
)

server_tags = sa.Table(
    "server_tags",
    metadata,
    sa.Column("server_id", sa.String(36), primary_key=True),
    sa.Column("tag", sa.String(80), primary_key=True),
)

actions = sa.Table(
    "actions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("server_id", sa.String(36), nullable=False, index=True),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("request_id", sa.String(64), nullable=False),
    sa.Column("user_id", sa.String(255), nullable=False),
    sa.Column("project_id", sa.String(255), nullable=False),
    sa.Column("message", sa.String(255)),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("updated_at", sa.Float),
    sa.Column("finished_at", sa.Float),
)

action_events = sa.Table(
    "action_events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("action_id", sa.Integer, sa.ForeignKey("actions.id", ondelete="CASCADE"), index=True),
    sa.Column("event", sa.String(64), nullable=False),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("finished_at", sa.Float),
    sa.Column("result", sa.String(32)),
    sa.Column("host", sa.String(255)),
    sa.Column("details", sa.Text),
)

hosts = sa.Table(
    "hosts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("uuid", sa.String(36), nullable=False, unique=True),
    sa.Column("host", sa.String(255), nullable=False, unique=True),
    sa.Column("binary", sa.String(64), nullable=False),
    sa.Column("provider_id", sa.String(36), nullable=False, unique=True),
    sa.Column("hypervisor_hostname", sa.String(255), nullable=False),
    sa.Column("hypervisor_type", sa.String(64), nullable=False),
    sa.Column("hypervisor_version", sa.Integer, nullable=False),
    sa.Column("host_ip", sa.String(45), nullable=False),
    sa.Column("vcpus", sa.Integer, nullable=False),
    sa.Column("memory_mb", sa.Integer, nullable=False),
    sa.Column("disk_gb", sa.Integer, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False),
    sa.Column("disabled_reason", sa.String(255)),
    sa.Column("forced_down", sa.Boolean, nullable=False),
    sa.Column("seen_at", sa.Float, nullable=False),
    sa.Column("booted_at", sa.Float, nullable=False),
    sa.Column("zone", sa.String(255), nullable=False),
    sa.Column("report_count", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("updated_at", sa.Float),
)

console_tokens = sa.Table(
    "console_tokens",
    metadata,
    sa.Column("token_hash", sa.String(64), primary_key=True),
    sa.Column("server_id", sa.String(36), nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
)

sagas = saga.add_table(metadata)
leases = lease.add_table(metadata)
