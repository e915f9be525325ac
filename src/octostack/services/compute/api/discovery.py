# SPDX-License-Identifier: Apache-2.0
"""Versions and extensions: what a client asks before anything else."""

from typing import Any

from octostack.base.errors import NotFound
from octostack.runtime.http import Request
from octostack.services.compute.schema import versions
from octostack.services.compute.store.app import App

_UPDATED = "2014-12-03T00:00:00Z"
_EXTENSIONS = (
    ("os-admin-actions", "AdminActions"), ("os-aggregates", "Aggregates"),
    ("os-attach-interfaces", "AttachInterfaces"), ("os-availability-zone", "AvailabilityZone"),
    ("os-config-drive", "ConfigDrive"), ("os-console-output", "ConsoleOutput"),
    ("os-consoles", "Consoles"), ("OS-DCF", "DiskConfig"),
    ("OS-EXT-AZ", "ExtendedAvailabilityZone"), ("OS-EXT-SRV-ATTR", "ExtendedServerAttributes"),
    ("OS-EXT-STS", "ExtendedStatus"), ("OS-FLV-DISABLED", "FlavorDisabled"),
    ("OS-FLV-EXT-DATA", "FlavorExtraData"), ("os-flavor-access", "FlavorAccess"),
    ("os-flavor-extra-specs", "FlavorExtraSpecs"), ("os-flavor-manage", "FlavorManage"),
    ("os-hosts", "Hosts"), ("os-tenant-networks", "OSTenantNetworks"),
    ("os-hypervisors", "Hypervisors"), ("os-instance-actions", "InstanceActions"),
    ("os-keypairs", "Keypairs"), ("os-lock-server", "LockServer"),
    ("os-multiple-create", "MultipleCreate"), ("os-pause-server", "PauseServer"),
    ("os-quota-class-sets", "QuotaClasses"), ("os-quota-sets", "Quotas"),
    ("os-rescue", "Rescue"), ("OS-SCH-HNT", "SchedulerHints"),
    ("os-security-groups", "SecurityGroups"), ("os-server-diagnostics", "ServerDiagnostics"),
    ("os-server-external-events", "ServerExternalEvents"), ("os-server-groups", "ServerGroups"),
    ("os-server-password", "ServerPassword"), ("os-services", "Services"),
    ("os-simple-tenant-usage", "SimpleTenantUsage"), ("OS-SRV-USG", "ServerUsage"),
    ("os-suspend-server", "SuspendServer"), ("os-user-data", "UserData"),
)  # fmt: skip


async def list_versions(_app: App, req: Request) -> Any:
    """GET /compute"""
    return versions.listed(req.base_url)


async def show_version(_app: App, req: Request) -> Any:
    """GET /compute/v2.1, and /compute/v2"""
    return {"version": versions.version(req.base_url)}


async def list_extensions(_app: App, _req: Request) -> Any:
    """GET /extensions"""
    return {"extensions": [_extension(alias, name) for alias, name in _EXTENSIONS]}


async def show_extension(_app: App, req: Request) -> Any:
    """GET /extensions/{alias}"""
    for alias, name in _EXTENSIONS:
        if alias == req.params["alias"]:
            return {"extension": _extension(alias, name)}
    raise NotFound("The resource could not be found.")


def _extension(alias: str, name: str) -> dict[str, Any]:
    return {
        "alias": alias,
        "name": name,
        "description": f"{name}.",
        "links": [],
        "namespace": "http://docs.openstack.org/compute/ext/fake_xml",
        "updated": _UPDATED,
    }
