# SPDX-License-Identifier: Apache-2.0
"""Who may do what: Neutron's rule names with its secure-RBAC defaults (2026.2).

``create_X``, ``get_X``, ``update_X`` and ``delete_X`` guard a resource, ``create_X:attribute``
one attribute of it, ``create_X:attribute:key`` a key within. Where Neutron asks for a field of
the object (``field:networks:shared=True``) the same is said here of the target that the handlers
fill in: ``shared``, ``router:external``, ``network_device`` and ``network:project_id``.
"""

from octostack.runtime.policy import Rule

ADMIN = "rule:admin_only"
MEMBER = "role:member and project_id:%(project_id)s"
MANAGER = "role:manager and project_id:%(project_id)s"
READER = "role:reader and project_id:%(project_id)s"
NET_MEMBER = "role:member and rule:network_owner"
NET_MANAGER = "role:manager and rule:network_owner"
NET_READER = "role:reader and rule:network_owner"
SHARED = "rule:shared"
SERVICE = "rule:service_api"


def _or(*checks: str) -> str:
    return " or ".join(f"({check})" for check in checks)


ADMIN_OR_MEMBER = _or(ADMIN, MEMBER)
ADMIN_OR_MANAGER = _or(ADMIN, MANAGER)
ADMIN_OR_READER = _or(ADMIN, READER)
ADMIN_OR_SERVICE = _or(ADMIN, SERVICE)
ADMIN_OR_NET_MEMBER = _or(ADMIN, NET_MEMBER)
ADMIN_OR_SG_MEMBER = _or(ADMIN, "role:member and rule:sg_owner")
ADMIN_OR_SG_READER = _or(ADMIN, "role:reader and rule:sg_owner")
SERVICE_OR_NET_MEMBER = _or(ADMIN, SERVICE, NET_MEMBER)
SERVICE_OR_MEMBER = _or(ADMIN, SERVICE, MEMBER)
NOT_NETWORK_DEVICE = _or("not rule:network_device", ADMIN, SERVICE, NET_MEMBER)
NOT_EVERYBODY = _or(ADMIN, "not '*':%(target_project)s")

_PARTS = (
    Rule("admin_only", "rule:context_is_admin", "Operators."),
    Rule("network_owner", "project_id:%(network:project_id)s", "The owner of the network."),
    Rule("sg_owner", "project_id:%(security_group:project_id)s", "The security group's owner."),
    Rule("shared", "True:%(shared)s", "What is shared with the caller or everybody."),
    Rule("external", "True:%(router:external)s", "External networks and their subnets."),
    Rule("network_device", "True:%(network_device)s", "Ports that belong to the network itself."),
)

# Attributes and actions by resource: rule suffix or name -> check. "create", "get", "update" and
# "delete" alone are the resource's own rules.
_TABLE: dict[str, dict[str, str]] = {
    "network": {
        "create": ADMIN_OR_MEMBER,
        "create:shared": ADMIN,
        "create:router:external": ADMIN,
        "create:is_default": ADMIN,
        "create:port_security_enabled": ADMIN_OR_MEMBER,
        "create:provider:network_type": ADMIN,
        "create:provider:physical_network": ADMIN,
        "create:provider:segmentation_id": ADMIN,
        "create:tags": ADMIN_OR_MEMBER,
        "get": _or(ADMIN, READER, SERVICE, SHARED, "rule:external"),
        "get:provider:network_type": ADMIN,
        "get:provider:physical_network": ADMIN,
        "get:provider:segmentation_id": ADMIN,
        "get:tags": _or(ADMIN, READER, SHARED, "rule:external"),
        "update": ADMIN_OR_MEMBER,
        "update:shared": ADMIN,
        "update:provider:network_type": ADMIN,
        "update:provider:physical_network": ADMIN,
        "update:provider:segmentation_id": ADMIN,
        "update:router:external": ADMIN,
        "update:is_default": ADMIN,
        "update:port_security_enabled": ADMIN_OR_MEMBER,
        "update:tags": ADMIN_OR_MEMBER,
        "delete": ADMIN_OR_MEMBER,
        "delete:tags": ADMIN_OR_MEMBER,
    },
    "subnet": {
        "create": ADMIN_OR_NET_MEMBER,
        "create:service_types": ADMIN,
        "create:tags": _or(MEMBER, ADMIN, NET_MEMBER),
        "get": _or(READER, SHARED, "rule:external", ADMIN, NET_READER, SERVICE),
        "get:tags": _or(READER, SHARED, "rule:external", ADMIN, NET_READER),
        "update": _or(MEMBER, ADMIN, NET_MEMBER),
        "update:service_types": ADMIN,
        "update:tags": _or(MEMBER, ADMIN, NET_MEMBER),
        "delete": _or(MEMBER, ADMIN, NET_MEMBER),
        "delete:tags": _or(MEMBER, ADMIN, NET_MEMBER),
    },
    "subnetpool": {
        "create": ADMIN_OR_MEMBER,
        "create:shared": ADMIN,
        "create:is_default": ADMIN,
        "create:tags": ADMIN_OR_MEMBER,
        "get": _or(ADMIN, READER, SHARED),
        "get:tags": _or(ADMIN, READER, SHARED),
        "update": ADMIN_OR_MEMBER,
        "update:is_default": ADMIN,
        "update:tags": ADMIN_OR_MEMBER,
        "delete": ADMIN_OR_MEMBER,
        "delete:tags": ADMIN_OR_MEMBER,
    },
    "address_scope": {
        "create": ADMIN_OR_MEMBER,
        "create:shared": ADMIN,
        "get": _or(ADMIN, READER, SHARED),
        "update": ADMIN_OR_MEMBER,
        "update:shared": ADMIN,
        "delete": ADMIN_OR_MEMBER,
    },
    "port": {
        "create": _or(ADMIN, SERVICE, NET_MEMBER, f"role:member and {SHARED}"),
        "create:device_id": SERVICE_OR_MEMBER,
        "create:device_owner": NOT_NETWORK_DEVICE,
        "create:mac_address": SERVICE_OR_NET_MEMBER,
        "create:fixed_ips": _or(ADMIN, SERVICE, NET_MEMBER, SHARED),
        "create:fixed_ips:ip_address": SERVICE_OR_NET_MEMBER,
        "create:fixed_ips:subnet_id": _or(ADMIN, SERVICE, NET_MEMBER, SHARED),
        "create:port_security_enabled": SERVICE_OR_NET_MEMBER,
        "create:binding:host_id": ADMIN_OR_SERVICE,
        "create:binding:profile": SERVICE,
        "create:binding:vnic_type": SERVICE_OR_MEMBER,
        "create:allowed_address_pairs": SERVICE_OR_NET_MEMBER,
        "create:allowed_address_pairs:mac_address": SERVICE_OR_NET_MEMBER,
        "create:allowed_address_pairs:ip_address": SERVICE_OR_NET_MEMBER,
        "create:tags": ADMIN_OR_MEMBER,
        "get": _or(ADMIN, SERVICE, NET_READER, READER),
        "get:binding:vif_type": ADMIN_OR_SERVICE,
        "get:binding:vif_details": ADMIN_OR_SERVICE,
        "get:binding:host_id": ADMIN_OR_SERVICE,
        "get:binding:profile": ADMIN_OR_SERVICE,
        "get:tags": _or(ADMIN, NET_READER, READER),
        "update": SERVICE_OR_MEMBER,
        "update:device_id": SERVICE_OR_MEMBER,
        "update:device_owner": NOT_NETWORK_DEVICE,
        "update:mac_address": _or(ADMIN, SERVICE, NET_MANAGER),
        "update:fixed_ips": SERVICE_OR_NET_MEMBER,
        "update:fixed_ips:ip_address": SERVICE_OR_NET_MEMBER,
        "update:fixed_ips:subnet_id": _or(ADMIN, SERVICE, NET_MEMBER, SHARED),
        "update:port_security_enabled": SERVICE_OR_NET_MEMBER,
        "update:binding:host_id": ADMIN_OR_SERVICE,
        "update:binding:profile": SERVICE,
        "update:binding:vnic_type": SERVICE_OR_MEMBER,
        "update:allowed_address_pairs": SERVICE_OR_NET_MEMBER,
        "update:allowed_address_pairs:mac_address": SERVICE_OR_NET_MEMBER,
        "update:allowed_address_pairs:ip_address": SERVICE_OR_NET_MEMBER,
        "update:tags": ADMIN_OR_MEMBER,
        "delete": _or(ADMIN, SERVICE, NET_MEMBER, MEMBER),
        "delete:tags": _or(MEMBER, ADMIN, NET_MEMBER),
    },
    "router": {
        "create": ADMIN_OR_MEMBER,
        "create:distributed": ADMIN,
        "create:ha": ADMIN,
        "create:external_gateway_info": ADMIN_OR_MEMBER,
        "create:external_gateway_info:network_id": ADMIN_OR_MEMBER,
        "create:external_gateway_info:enable_snat": ADMIN,
        "create:external_gateway_info:external_fixed_ips": ADMIN,
        "create:tags": ADMIN_OR_MEMBER,
        "get": ADMIN_OR_READER,
        "get:distributed": ADMIN,
        "get:ha": ADMIN,
        "get:tags": ADMIN_OR_READER,
        "update": ADMIN_OR_MEMBER,
        "update:distributed": ADMIN,
        "update:ha": ADMIN,
        "update:external_gateway_info": ADMIN_OR_MEMBER,
        "update:external_gateway_info:network_id": ADMIN_OR_MEMBER,
        "update:external_gateway_info:enable_snat": ADMIN,
        "update:external_gateway_info:external_fixed_ips": ADMIN,
        "update:tags": ADMIN_OR_MEMBER,
        "delete": ADMIN_OR_MEMBER,
        "delete:tags": ADMIN_OR_MEMBER,
    },
    "floatingip": {
        "create": ADMIN_OR_MEMBER,
        "create:floating_ip_address": ADMIN_OR_MANAGER,
        "create:tags": ADMIN_OR_MEMBER,
        "get": ADMIN_OR_READER,
        "get:tags": ADMIN_OR_READER,
        "update": ADMIN_OR_MEMBER,
        "update:tags": ADMIN_OR_MEMBER,
        "delete": ADMIN_OR_MEMBER,
        "delete:tags": ADMIN_OR_MEMBER,
    },
    "security_group": {
        "create": ADMIN_OR_MEMBER,
        "create:tags": ADMIN_OR_MEMBER,
        "get": _or(ADMIN, READER, SHARED),
        "get:tags": _or(ADMIN, READER, SHARED),
        "update": ADMIN_OR_MEMBER,
        "update:tags": ADMIN_OR_MEMBER,
        "delete": ADMIN_OR_MEMBER,
        "delete:tags": ADMIN_OR_MEMBER,
    },
    "security_group_rule": {
        "create": ADMIN_OR_SG_MEMBER,
        "get": ADMIN_OR_SG_READER,
        "delete": ADMIN_OR_SG_MEMBER,
    },
    "default_security_group_rule": {"create": ADMIN, "get": "role:reader", "delete": ADMIN},
    "rbac_policy": {
        "create": ADMIN_OR_MEMBER,
        "create:target_tenant": NOT_EVERYBODY,
        "get": ADMIN_OR_READER,
        "update": ADMIN_OR_MEMBER,
        "update:target_tenant": NOT_EVERYBODY,
        "delete": ADMIN_OR_MEMBER,
    },
    "agent": {"get": ADMIN, "update": ADMIN, "delete": ADMIN},
    "quota": {"get": ADMIN_OR_MANAGER, "update": ADMIN, "delete": ADMIN},
    "network_ip_availability": {"get": ADMIN_OR_SERVICE},
    "availability_zone": {"get": "role:reader"},
    "service_provider": {"get": "role:reader"},
    "auto_allocated_topology": {"get": ADMIN_OR_READER, "delete": ADMIN_OR_MEMBER},
}

_ACTIONS = {
    "add_router_interface": "/routers/{id}/add_router_interface",
    "remove_router_interface": "/routers/{id}/remove_router_interface",
    "add_extraroutes": "/routers/{id}/add_extraroutes",
    "remove_extraroutes": "/routers/{id}/remove_extraroutes",
    "add_prefixes": "/subnetpools/{id}/add_prefixes",
    "remove_prefixes": "/subnetpools/{id}/remove_prefixes",
}
_PATHS = {"rbac_policy": "rbac-policies", "network_ip_availability": "network-ip-availabilities"}
_VERBS = {"create": "POST", "get": "GET", "update": "PUT", "delete": "DELETE"}


def _path(resource: str) -> str:
    return "/" + _PATHS.get(resource, f"{resource}s".replace("_", "-"))


def _rules() -> tuple[Rule, ...]:
    rules = list(_PARTS)
    for resource, checks in _TABLE.items():
        path = _path(resource)
        for key, check in checks.items():
            verb, _, attribute = key.partition(":")
            where = path if verb == "create" else path + "/{id}"
            rules.append(
                Rule(
                    f"{verb}_{resource}" + (f":{attribute}" if attribute else ""),
                    check,
                    f"{verb} {attribute + ' of ' if attribute else ''}a {resource}",
                    ((_VERBS[verb], where),),
                )
            )
    for name, path in _ACTIONS.items():
        rules.append(Rule(name, ADMIN_OR_MEMBER, name.replace("_", " "), (("PUT", path),)))
    return tuple(rules)


RULES = _rules()
