# SPDX-License-Identifier: Apache-2.0
"""The whole API of Compute."""

from octostack.runtime.http import (
    ANY,
    PUBLIC,
    Fixed,
    Microversions,
    Route,
    delete,
    get,
    post,
    put,
    websocket,
)
from octostack.services.compute.api import (
    actions,
    aggregates,
    audit,
    consoles,
    create,
    discovery,
    events,
    flavors,
    floating_ips,
    groups,
    hosts,
    images,
    instance_actions,
    interfaces,
    keypairs,
    networks,
    quotas,
    retired,
    security_groups,
    server_lists,
    server_parts,
    servers,
    viewer,
)
from octostack.services.compute.api.faults import faults
from octostack.services.compute.schema import actions as action_schema
from octostack.services.compute.schema import aggregates as aggregate_schema
from octostack.services.compute.schema import events as event_schema
from octostack.services.compute.schema import flavors as flavor_schema
from octostack.services.compute.schema import groups as group_schema
from octostack.services.compute.schema import hosts as host_schema
from octostack.services.compute.schema import images as image_schema
from octostack.services.compute.schema import keypairs as keypair_schema
from octostack.services.compute.schema import quotas as quota_schema
from octostack.services.compute.schema import security_groups as security_group_schema
from octostack.services.compute.schema import servers as server_schema
from octostack.services.compute.schema import versions

__all__ = ["CONSOLE_ROUTES", "MICROVERSIONS", "ROUTES", "SPOKEN", "VERSION_ROUTES", "faults"]

MICROVERSIONS = Microversions(
    "compute", versions.MINIMUM, versions.MAXIMUM, "X-OpenStack-Nova-API-Version"
)
SPOKEN = {  # at which path which versions
    "/compute/v2": Fixed("compute", versions.MINIMUM, versions.MINIMUM),
    "/compute/v2.1": MICROVERSIONS,
}
_P = "os_compute_api:"

VERSION_ROUTES: tuple[Route, ...] = (get("", discovery.list_versions, rule=PUBLIC),)

_DISCOVERY = (
    get("", discovery.show_version, rule=PUBLIC),
    get("/extensions", discovery.list_extensions, rule=_P + "extensions"),
    get("/extensions/{alias}", discovery.show_extension, rule=_P + "extensions"),
)

_FLAVOR = "/flavors/{flavor_id}"
_SPECS, _SPEC = _FLAVOR + "/os-extra_specs", _FLAVOR + "/os-extra_specs/{key}"
_FLAVORS = (
    get("/flavors", flavors.index, rule=ANY),
    post("/flavors", flavors.create, rule=_P + "os-flavor-manage:create",
         body=flavor_schema.CREATE),
    get("/flavors/detail", flavors.list_detail, rule=ANY),
    get(_FLAVOR, flavors.show, rule=ANY),
    put(_FLAVOR, flavors.update, rule=_P + "os-flavor-manage:update", since="2.55",
        body=flavor_schema.UPDATE),
    delete(_FLAVOR, flavors.delete, rule=_P + "os-flavor-manage:delete", status=202),
    post(_FLAVOR + "/action", flavors.act, rule=ANY),
    get(_FLAVOR + "/os-flavor-access", flavors.list_access, rule=_P + "os-flavor-access"),
    get(_SPECS, flavors.list_specs, rule=_P + "os-flavor-extra-specs:index"),
    post(_SPECS, flavors.create_specs, rule=_P + "os-flavor-extra-specs:create",
         body=flavor_schema.EXTRA_SPECS),
    get(_SPEC, flavors.show_spec, rule=_P + "os-flavor-extra-specs:show"),
    put(_SPEC, flavors.update_spec, rule=_P + "os-flavor-extra-specs:update",
        body=flavor_schema.EXTRA_SPEC),
    delete(_SPEC, flavors.delete_spec, rule=_P + "os-flavor-extra-specs:delete"),
)  # fmt: skip

_KEYPAIRS = (
    get("/os-keypairs", keypairs.index, rule=_P + "os-keypairs:index", target="handler"),
    post("/os-keypairs", keypairs.create, rule=_P + "os-keypairs:create", target="handler",
         body=keypair_schema.CREATE),
    get("/os-keypairs/{name}", keypairs.show, rule=_P + "os-keypairs:show", target="handler"),
    delete("/os-keypairs/{name}", keypairs.delete, rule=_P + "os-keypairs:delete",
           target="handler"),
)  # fmt: skip

_SERVER = "/servers/{server_id}"
_SERVERS = (
    post("/servers", create.create, rule=_P + "servers:create", status=202,
         body=server_schema.CREATE),
    get("/servers", server_lists.index, rule=_P + "servers:index"),
    get("/servers/detail", server_lists.list_detail, rule=_P + "servers:detail"),
    get(_SERVER, servers.show, rule=_P + "servers:show", target="handler"),
    put(_SERVER, servers.update, rule=_P + "servers:update", target="handler",
        body=server_schema.UPDATE),
    delete(_SERVER, servers.delete, rule=_P + "servers:delete", target="handler", status=204),
)  # fmt: skip

_METADATA, _METADATUM = _SERVER + "/metadata", _SERVER + "/metadata/{key}"
_TAGS, _TAG = _SERVER + "/tags", _SERVER + "/tags/{tag}"
_NICS, _NIC = _SERVER + "/os-interface", _SERVER + "/os-interface/{port_id}"
_DONE = _SERVER + "/os-instance-actions"
_PASSWORD = _SERVER + "/os-server-password"
_ABOUT = {"target": "handler"}
_SERVER_PARTS = (
    # What may be done with a server is a table of its own: actions.ACTIONS, with its rules.
    post(_SERVER + "/action", actions.act, rule=ANY),
    get(_METADATA, server_parts.list_metadata, rule=_P + "server-metadata:index", **_ABOUT),
    post(_METADATA, server_parts.add_metadata, rule=_P + "server-metadata:create",
         body=server_schema.METADATA, **_ABOUT),
    put(_METADATA, server_parts.replace_metadata, rule=_P + "server-metadata:update_all",
        body=server_schema.METADATA, **_ABOUT),
    get(_METADATUM, server_parts.show_metadatum, rule=_P + "server-metadata:show", **_ABOUT),
    put(_METADATUM, server_parts.put_metadatum, rule=_P + "server-metadata:update",
        body=server_schema.META, **_ABOUT),
    delete(_METADATUM, server_parts.delete_metadatum, rule=_P + "server-metadata:delete",
           status=204, **_ABOUT),
    get(_TAGS, server_parts.list_tags, rule=_P + "os-server-tags:index", since="2.26", **_ABOUT),
    put(_TAGS, server_parts.replace_tags, rule=_P + "os-server-tags:update_all", since="2.26",
        body=server_schema.TAGS, **_ABOUT),
    delete(_TAGS, server_parts.delete_tags, rule=_P + "os-server-tags:delete_all", since="2.26",
           status=204, **_ABOUT),
    get(_TAG, server_parts.has_tag, rule=_P + "os-server-tags:show", since="2.26", **_ABOUT),
    put(_TAG, server_parts.add_tag, rule=_P + "os-server-tags:update", since="2.26", **_ABOUT),
    delete(_TAG, server_parts.delete_tag, rule=_P + "os-server-tags:delete", since="2.26",
           status=204, **_ABOUT),
    get(_SERVER + "/ips", server_parts.list_ips, rule=_P + "ips:index", **_ABOUT),
    get(_SERVER + "/ips/{network}", server_parts.show_ips, rule=_P + "ips:show", **_ABOUT),
    get(_SERVER + "/diagnostics", server_parts.show_diagnostics,
        rule=_P + "os-server-diagnostics", **_ABOUT),
    get(_SERVER + "/os-security-groups", security_groups.list_of_server,
        rule=_P + "os-security-groups:list", **_ABOUT),
    get(_PASSWORD, server_parts.show_password, rule=_P + "os-server-password:show", **_ABOUT),
    delete(_PASSWORD, server_parts.clear_password, rule=_P + "os-server-password:clear",
           status=204, **_ABOUT),
    get(_SERVER + "/topology", server_parts.show_topology, rule="compute:server:topology:index",
        since="2.78", **_ABOUT),
    get(_SERVER + "/os-volume_attachments", server_parts.list_volumes,
        rule=_P + "os-volumes-attachments:index", **_ABOUT),
    get(_SERVER + "/migrations", server_parts.list_migrations,
        rule=_P + "servers:migrations:index", since="2.23", **_ABOUT),
    post(_SERVER + "/remote-consoles", consoles.create, rule=_P + "os-remote-consoles",
         since="2.6", body=action_schema.REMOTE_CONSOLE, **_ABOUT),
    get("/os-console-auth-tokens/{token}", consoles.show_token,
        rule=_P + "os-console-auth-tokens", since="2.31"),
    get(_NICS, interfaces.index, rule=_P + "os-attach-interfaces:list", **_ABOUT),
    post(_NICS, interfaces.create, rule=_P + "os-attach-interfaces:create",
         body=action_schema.ATTACH, **_ABOUT),
    get(_NIC, interfaces.show, rule=_P + "os-attach-interfaces:show", **_ABOUT),
    delete(_NIC, interfaces.delete, rule=_P + "os-attach-interfaces:delete", status=202, **_ABOUT),
    get(_DONE, instance_actions.index, rule=_P + "os-instance-actions:list", **_ABOUT),
    get(_DONE + "/{request_id}", instance_actions.show, rule=_P + "os-instance-actions:show",
        **_ABOUT),
)  # fmt: skip

_GROUP = "/os-server-groups/{group_id}"
_AGGREGATE = "/os-aggregates/{aggregate_id}"
_GROUPS = (
    get("/os-server-groups", groups.index, rule=_P + "os-server-groups:index"),
    post("/os-server-groups", groups.create, rule=_P + "os-server-groups:create",
         body=group_schema.CREATE),
    get(_GROUP, groups.show, rule=_P + "os-server-groups:show", **_ABOUT),
    delete(_GROUP, groups.delete, rule=_P + "os-server-groups:delete", status=204, **_ABOUT),
    get("/os-aggregates", aggregates.index, rule=_P + "os-aggregates:index"),
    post("/os-aggregates", aggregates.create, rule=_P + "os-aggregates:create",
         body=aggregate_schema.CREATE),
    get(_AGGREGATE, aggregates.show, rule=_P + "os-aggregates:show"),
    put(_AGGREGATE, aggregates.update, rule=_P + "os-aggregates:update",
        body=aggregate_schema.UPDATE),
    delete(_AGGREGATE, aggregates.delete, rule=_P + "os-aggregates:delete"),
    # addHost and its kin have rules of their own: aggregates.ACTIONS.
    post(_AGGREGATE + "/action", aggregates.act, rule=ANY),
    post(_AGGREGATE + "/images", aggregates.cache_images, rule="compute:aggregates:images",
         since="2.81", body=aggregate_schema.CACHE, status=202),
)  # fmt: skip

_HYPERVISOR = "/os-hypervisors/{hypervisor_id}"
_HOSTS = (
    get("/os-services", hosts.list_services, rule=_P + "os-services:list"),
    put("/os-services/{service_id}", hosts.update_service, rule=_P + "os-services:update",
        body=host_schema.UPDATE),
    delete("/os-services/{service_id}", hosts.delete_service, rule=_P + "os-services:delete",
           status=204),
    get("/os-hypervisors", hosts.list_hypervisors, rule=_P + "os-hypervisors:list"),
    get("/os-hypervisors/detail", hosts.list_hypervisor_details,
        rule=_P + "os-hypervisors:list-detail"),
    get("/os-hypervisors/statistics", hosts.show_statistics,
        rule=_P + "os-hypervisors:statistics", until="2.87"),
    get(_HYPERVISOR, hosts.show_hypervisor, rule=_P + "os-hypervisors:show"),
    get(_HYPERVISOR + "/uptime", hosts.show_uptime, rule=_P + "os-hypervisors:uptime",
        until="2.87"),
    get(_HYPERVISOR + "/search", hosts.search_hypervisors, rule=_P + "os-hypervisors:search",
        until="2.52"),
    get(_HYPERVISOR + "/servers", hosts.list_hypervisor_servers,
        rule=_P + "os-hypervisors:servers", until="2.52"),
    get("/os-availability-zone", hosts.list_zones, rule=_P + "os-availability-zone:list"),
    get("/os-availability-zone/detail", hosts.list_zone_details,
        rule=_P + "os-availability-zone:detail"),
)  # fmt: skip

_QUOTA, _CLASS = "/os-quota-sets/{project_id}", "/os-quota-class-sets/{name}"
_USAGE = "/os-simple-tenant-usage"
_QUOTAS = (
    get(_QUOTA, quotas.show, rule=_P + "os-quota-sets:show", **_ABOUT),
    get(_QUOTA + "/detail", quotas.show_detail, rule=_P + "os-quota-sets:detail", **_ABOUT),
    get(_QUOTA + "/defaults", quotas.show_defaults, rule=_P + "os-quota-sets:defaults"),
    put(_QUOTA, quotas.update, rule=_P + "os-quota-sets:update", body=quota_schema.UPDATE),
    delete(_QUOTA, quotas.delete, rule=_P + "os-quota-sets:delete", status=202),
    get(_CLASS, quotas.show_class, rule=_P + "os-quota-class-sets:show"),
    put(_CLASS, quotas.update_class, rule=_P + "os-quota-class-sets:update",
        body=quota_schema.UPDATE_CLASS),
    get("/limits", quotas.show_limits, rule=_P + "limits"),
    get(_USAGE, quotas.list_usage, rule=_P + "os-simple-tenant-usage:list"),
    get(_USAGE + "/{project_id}", quotas.show_usage, rule=_P + "os-simple-tenant-usage:show",
        **_ABOUT),
)  # fmt: skip

_OTHERS = (
    post("/os-server-external-events", events.create,
         rule=_P + "os-server-external-events:create", body=event_schema.CREATE),
    get("/os-migrations", events.list_migrations, rule=_P + "os-migrations:index"),
    # Gone from newer versions, and still asked for by older clients.
    get("/os-hosts", retired.list_hosts, rule=_P + "os-hosts:list", until="2.42"),
    get("/os-hosts/{host}", retired.show_host, rule=_P + "os-hosts:show", until="2.42"),
    put("/os-hosts/{host}", retired.update_host, rule=_P + "os-hosts:update", until="2.42",
        body=host_schema.UPDATE_OLD_HOST),
    get("/os-hosts/{host}/reboot", retired.power_host, rule=_P + "os-hosts:reboot", until="2.42"),
    get("/os-hosts/{host}/shutdown", retired.power_host, rule=_P + "os-hosts:shutdown",
        until="2.42"),
    get("/os-hosts/{host}/startup", retired.power_host, rule=_P + "os-hosts:start", until="2.42"),
    get("/os-instance_usage_audit_log", audit.index,
        rule=_P + "os-instance-usage-audit-log:list"),
    get("/os-instance_usage_audit_log/{before}", audit.show,
        rule=_P + "os-instance-usage-audit-log:show"),
    *(
        Route(method=method, path=path, handler=retired.gone, rule=ANY)
        for path, methods in retired.GONE.items()
        for method in methods
    ),
)  # fmt: skip

# Other services' things, which old clients ask Compute for; the services decide who may.
_OLD = {"until": "2.35"}
_IMAGE, _IMAGE_META = "/images/{image_id}", "/images/{image_id}/metadata"
_IMAGE_DATUM = _IMAGE_META + "/{key}"
_SECURITY, _IPS = "/os-security-groups", "/os-floating-ips"
_PROXIES = (
    get(_SECURITY, security_groups.index, rule=_P + "os-security-groups:get", **_OLD),
    post(_SECURITY, security_groups.create, rule=_P + "os-security-groups:create",
         body=security_group_schema.GROUP, **_OLD),
    get(_SECURITY + "/{group_id}", security_groups.show, rule=_P + "os-security-groups:show",
        **_OLD),
    put(_SECURITY + "/{group_id}", security_groups.update, rule=_P + "os-security-groups:update",
        body=security_group_schema.GROUP, **_OLD),
    delete(_SECURITY + "/{group_id}", security_groups.delete,
           rule=_P + "os-security-groups:delete", status=202, **_OLD),
    post("/os-security-group-rules", security_groups.create_rule,
         rule=_P + "os-security-groups:rule:create", body=security_group_schema.RULE, **_OLD),
    delete("/os-security-group-rules/{rule_id}", security_groups.delete_rule,
           rule=_P + "os-security-groups:rule:delete", status=202, **_OLD),
    get("/os-floating-ip-pools", floating_ips.list_pools, rule=_P + "os-floating-ip-pools", **_OLD),
    get(_IPS, floating_ips.index, rule=_P + "os-floating-ips:list", **_OLD),
    post(_IPS, floating_ips.create, rule=_P + "os-floating-ips:create", **_OLD),
    get(_IPS + "/{floating_ip_id}", floating_ips.show, rule=_P + "os-floating-ips:show", **_OLD),
    delete(_IPS + "/{floating_ip_id}", floating_ips.delete, rule=_P + "os-floating-ips:delete",
           status=202, **_OLD),
    get("/os-networks", networks.index, rule=_P + "os-networks:list", **_OLD),
    get("/os-networks/{network_id}", networks.show, rule=_P + "os-networks:show", **_OLD),
    get("/os-tenant-networks", networks.list_of_project, rule=_P + "os-tenant-networks:list",
        **_OLD),
    get("/os-tenant-networks/{network_id}", networks.show_of_project,
        rule=_P + "os-tenant-networks:show", **_OLD),
    get("/images", images.index, rule=ANY, **_OLD),
    get("/images/detail", images.list_detail, rule=ANY, **_OLD),
    get(_IMAGE, images.show, rule=ANY, **_OLD),
    delete(_IMAGE, images.delete, rule=ANY, status=204, **_OLD),
    get(_IMAGE_META, images.list_metadata, rule=ANY, until="2.38"),
    post(_IMAGE_META, images.add_metadata, rule=ANY, body=image_schema.METADATA, until="2.38"),
    put(_IMAGE_META, images.replace_metadata, rule=ANY, body=image_schema.METADATA, until="2.38"),
    get(_IMAGE_DATUM, images.show_metadatum, rule=ANY, until="2.38"),
    put(_IMAGE_DATUM, images.put_metadatum, rule=ANY, body=image_schema.META, until="2.38"),
    delete(_IMAGE_DATUM, images.delete_metadatum, rule=ANY, status=204, until="2.38"),
)  # fmt: skip

CONSOLE_ROUTES: tuple[Route, ...] = (
    websocket("", consoles.bridge, rule=PUBLIC),  # the token in the query is the permission
    get("/{path:path}", viewer.show, rule=PUBLIC),
)

ROUTES: tuple[Route, ...] = (
    *_DISCOVERY, *_FLAVORS, *_KEYPAIRS, *_SERVERS, *_SERVER_PARTS, *_GROUPS, *_HOSTS, *_QUOTAS,
    *_OTHERS, *_PROXIES,
)  # fmt: skip
