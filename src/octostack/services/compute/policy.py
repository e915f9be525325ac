# SPDX-License-Identifier: Apache-2.0
"""Who may do what: the rule names operators know from Nova, with secure-RBAC defaults."""

from octostack.runtime.policy import Rule, defaults

_ADMIN = defaults.ADMIN
_READER = defaults.PROJECT_READER_OR_ADMIN
_MEMBER = defaults.PROJECT_MEMBER_OR_ADMIN
_SELF = "(rule:context_is_admin) or user_id:%(user_id)s"

_P = "os_compute_api:"

_GROUPS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "@",
        "Look at what everybody with a token may see.",
        ("os-availability-zone:list", "limits", "extensions"),
    ),
    (
        _READER,
        "Look at the project's own servers and groups.",
        (
            "servers:index", "servers:detail", "servers:show", "ips:index", "ips:show",
            "server-metadata:index", "server-metadata:show", "os-server-tags:index",
            "os-server-tags:show", "os-instance-actions:list", "os-instance-actions:show",
            "os-server-password:show", "os-attach-interfaces:list", "os-attach-interfaces:show",
            "os-security-groups:list", "os-volumes-attachments:index", "os-server-groups:index",
            "os-server-groups:show", "os-quota-sets:show", "os-quota-sets:detail",
            "os-simple-tenant-usage:show", "compute:server:topology:index",
            "os-flavor-extra-specs:index",
            "os-flavor-extra-specs:show", "os-tenant-networks:list", "os-tenant-networks:show",
            "os-networks:list", "os-networks:show", "os-security-groups:get",
            "os-security-groups:show", "os-floating-ips:list", "os-floating-ips:show",
        ),
    ),
    (
        _MEMBER,
        "Work with the project's own servers and groups.",
        (
            "servers:create", "servers:update", "servers:delete", "servers:start", "servers:stop",
            "servers:reboot", "servers:rebuild", "servers:create_image",
            "servers:create:attach_network",
            "os-pause-server:pause", "os-pause-server:unpause", "os-suspend-server:suspend",
            "os-suspend-server:resume", "os-lock-server:lock", "os-lock-server:unlock",
            "os-rescue", "os-unrescue", "os-admin-password", "os-console-output",
            "os-remote-consoles", "os-create-backup", "server-metadata:create",
            "server-metadata:update", "server-metadata:update_all", "server-metadata:delete",
            "os-server-tags:update", "os-server-tags:update_all", "os-server-tags:delete",
            "os-server-tags:delete_all", "os-server-password:clear", "os-attach-interfaces:create",
            "os-attach-interfaces:delete", "os-security-groups:add", "os-security-groups:remove",
            "os-security-groups:create", "os-security-groups:update", "os-security-groups:delete",
            "os-security-groups:rule:create", "os-security-groups:rule:delete",
            "os-floating-ips:add", "os-floating-ips:remove", "os-floating-ips:create",
            "os-floating-ips:delete",
            "os-server-groups:create", "os-server-groups:delete", "os-deferred-delete:force",
            "os-deferred-delete:restore",
            "servers:resize", "servers:confirm_resize", "servers:revert_resize",
            "os-shelve:shelve", "os-shelve:unshelve",
        ),
    ),
    (
        _ADMIN,
        "For operators.",
        (
            "servers:index:get_all_tenants", "servers:detail:get_all_tenants",
            "servers:allow_all_filters", "servers:show:host_status", "servers:create:forced_host",
            "compute:servers:create:requested_destination", "servers:create:zero_disk_flavor",
            "servers:show:host_status:unknown-only", "os-extended-server-attributes",
            "os-lock-server:unlock:unlock_override", "os-admin-actions:reset_state",
            "os-server-diagnostics",
            "os-instance-actions:events", "os-instance-actions:events:details",

            "os-aggregates:index", "os-aggregates:show", "os-aggregates:create",
            "os-aggregates:update", "os-aggregates:delete", "os-aggregates:add_host",
            "os-aggregates:remove_host", "os-aggregates:set_metadata", "compute:aggregates:images",
            "os-availability-zone:detail", "os-flavor-manage:create", "os-flavor-manage:update",
            "os-flavor-manage:delete", "os-flavor-extra-specs:create",
            "os-flavor-extra-specs:update", "os-flavor-extra-specs:delete",
            "os-flavor-access", "os-flavor-access:add_tenant_access",
            "os-flavor-access:remove_tenant_access",
            "os-hypervisors:list", "os-hypervisors:list-detail", "os-hypervisors:show",
            "os-hypervisors:statistics", "os-hypervisors:uptime", "os-hypervisors:search",
            "os-hypervisors:servers", "os-services:list", "os-services:update",
            "os-services:delete", "os-quota-sets:update", "os-quota-sets:delete",
            "os-quota-class-sets:show", "os-quota-class-sets:update",
            "os-simple-tenant-usage:list", "limits:other_project", "os-migrations:index",
            "os-server-groups:index:all_projects", "os-console-auth-tokens",
            "os-migrate-server:migrate", "os-migrate-server:migrate_live", "os-evacuate",
            "servers:migrations:index", "os-hosts:list", "os-hosts:show",
            "os-hosts:update", "os-hosts:reboot", "os-hosts:shutdown", "os-hosts:start",
            "os-admin-actions:inject_network_info", "os-instance-usage-audit-log:list",
            "os-instance-usage-audit-log:show",
        ),
    ),
    (defaults.ADMIN_OR_SERVICE, "For other services.", ("os-server-external-events:create",)),
    (_SELF, "Look at one's own key pairs.", ("os-keypairs:index", "os-keypairs:show")),
    (_SELF, "Make and drop one's own key pairs.", ("os-keypairs:create", "os-keypairs:delete")),
    ("@", "Anyone with a token.", ("os-quota-sets:defaults", "os-floating-ip-pools")),
)  # fmt: skip

RULES = tuple(
    Rule(name if name.startswith("compute:") else _P + name, check, description)
    for check, description, names in _GROUPS
    for name in names
)
