# SPDX-License-Identifier: Apache-2.0
"""The Network API's things and bodies."""

from typing import Any

from octostack.testing.world.thing import Thing

PREFIX = "/networking/v2.0"
_MADE: dict[str, tuple[str, dict[str, Any]]] = {
    "networks": ("network", {"name": "{new}"}),
    "subnets": ("subnet", {"network_id": "{networks}", "ip_version": 4, "cidr": "{cidr}"}),
    "ports": ("port", {"network_id": "{networks}"}),
    "routers": ("router", {"name": "{new}"}),
    "floatingips": ("floatingip", {"floating_network_id": "{outside}"}),
    "security-groups": ("security_group", {"name": "{new}"}),
    "security-group-rules": ("security_group_rule", {
        "security_group_id": "{security-groups}", "direction": "ingress", "protocol": "tcp",
        "remote_ip_prefix": "{cidr}"}),
    "subnetpools": ("subnetpool", {"name": "{new}", "prefixes": ["10.64.0.0/12"]}),
    "address-scopes": ("address_scope", {"name": "{new}", "ip_version": 4}),
    "rbac-policies": ("rbac_policy", {"object_type": "network", "object_id": "{networks}",
                                      "target_tenant": "{uuid}", "action": "access_as_shared"}),
}  # fmt: skip
_TAGGED = ("networks", "subnets", "subnetpools", "ports", "routers", "floatingips",
           "security-groups")  # fmt: skip
_TEMPLATE = {"default_security_group_rule": {
    "direction": "egress", "protocol": "tcp", "remote_ip_prefix": "{cidr}"}}  # fmt: skip


def _path(plural: str) -> str:
    return f"{PREFIX}/{plural}"


THINGS = {
    **{plural: Thing(f"POST {_path(plural)}", {name: body}, f"{name}.id")
       for plural, (name, body) in _MADE.items()},
    **{f"{plural}.tag": Thing(f"PUT {_path(plural)}/{{{plural}}}/tags/red") for plural in _TAGGED},
    "default-security-group-rules": Thing(
        f"POST {_path('default-security-group-rules')}", _TEMPLATE,
        "default_security_group_rule.id", "admin"),
    "outside": Thing(f"GET {_path('networks')}?router:external=true", take="networks.0.id"),
    "agents": Thing(f"GET {_path('agents')}", take="agents.0.id", by="admin"),
    "gone_agent": Thing(f"GET {_path('agents')}?host=gone", take="agents.0.id", by="admin"),
    "wired_router": Thing(
        f"POST {_path('routers')}", {"router": {}}, "router.id",
        then=((f"PUT {_path('routers')}/{{self}}/add_router_interface",
               {"subnet_id": "{wired_subnet}"}),)),
    "wired_subnet": Thing(
        f"POST {_path('subnets')}",
        {"subnet": {"network_id": "{networks}", "ip_version": 4, "cidr": "{cidr}"}}, "subnet.id"),
    "plain_network": Thing(f"POST {_path('networks')}", {"network": {}}, "network.id"),
    "plain_subnet": Thing(
        f"POST {_path('subnets')}",
        {"subnet": {"network_id": "{plain_network}", "ip_version": 4, "cidr": "{cidr}"}},
        "subnet.id"),
    "lone_network": Thing(f"POST {_path('networks')}", {"network": {}}, "network.id"),
    "lone_subnet": Thing(
        f"POST {_path('subnets')}",
        {"subnet": {"network_id": "{lone_network}", "ip_version": 4, "cidr": "{cidr}"}},
        "subnet.id"),
    "quota_of_ops": Thing(f"PUT {_path('quotas')}/{{ops}}", {"quota": {"network": 90}},
                          by="admin"),
    "quotas": Thing(f"PUT {_path('quotas')}/{{project}}", {"quota": {"network": -1}}, by="admin"),
}  # fmt: skip

PARAMS = {
    **{"quotas.id": "{quotas}", "extensions.alias": "router"},
    "network-ip-availabilities.id": "{networks}",
    "auto-allocated-topology.id": "{project}",
    "DELETE /networks/{id}.id": "{lone_network}",
    "DELETE /subnets/{id}.id": "{lone_subnet}",
    "PUT /routers/{id}/remove_router_interface.id": "{wired_router}",
    "DELETE /quotas/{id}.id": "{quota_of_ops}",
    "DELETE /agents/{id}.id": "{gone_agent}",
}
BODIES: dict[str, Any] = {
    **{f"POST /{plural}": {name: body} for plural, (name, body) in _MADE.items()},
    **{f"PUT /{plural}/{{id}}": {name: {"description": "new"}}
       for plural, (name, _) in _MADE.items()},
    **{f"{method} /{plural}/{{id}}/tags": {"tags": ["blue"]}
       for plural in _TAGGED for method in ("POST", "PUT")},
    "POST /default-security-group-rules": _TEMPLATE,
    "PUT /rbac-policies/{id}": {"rbac_policy": {"target_tenant": "{uuid}"}},
    "PUT /agents/{id}": {"agent": {"description": "new"}},
    "PUT /routers/{id}/add_router_interface": {"subnet_id": "{plain_subnet}"},
    "PUT /routers/{id}/remove_router_interface": {"subnet_id": "{wired_subnet}"},
    "PUT /routers/{id}/add_extraroutes": {"router": {"routes": []}},
    "PUT /routers/{id}/remove_extraroutes": {"router": {"routes": []}},
    "PUT /subnetpools/{id}/add_prefixes": {"prefixes": ["10.80.0.0/16"]},
    "PUT /subnetpools/{id}/remove_prefixes": {"prefixes": ["10.99.0.0/16"]},
    "PUT /quotas/{id}": {"quota": {"network": -1}},
}  # fmt: skip
USES_UP = ("PUT /routers/{id}/add_router_interface", "PUT /routers/{id}/remove_router_interface")
