# SPDX-License-Identifier: Apache-2.0
"""The whole API on one screen."""

from octostack.runtime.http import ANY, PUBLIC, Route, delete, get, post, put
from octostack.services.network.api import (
    agents,
    crud,
    discovery,
    floating,
    groups,
    lending,
    networks,
    pools,
    ports,
    quota,
    routers,
    subnets,
    tags,
    topology,
)
from octostack.services.network.api.behaviour import Behaviour

faults = discovery.answer_fault

TAGGED = (
    networks.THING,
    subnets.THING,
    pools.POOLS,
    ports.THING,
    routers.THING,
    floating.THING,
    groups.GROUPS,
)
THINGS = (*TAGGED, pools.SCOPES, groups.RULES, groups.TEMPLATES, lending.THING, agents.THING)


def _crud(thing: Behaviour) -> list[Route]:
    """List, show, and what of create, update and delete there is."""
    path, name = f"/{thing.resource.path}", thing.resource.name
    one = path + "/{id}"
    own = {"target": "handler"}
    found = [
        get(path, crud.lister(thing), rule=f"get_{name}", **own),
        get(one, crud.shower(thing), rule=f"get_{name}", **own),
    ]
    if thing.create:
        found.append(post(path, crud.creator(thing), rule=f"create_{name}", status=201, **own))
    if thing.update:
        found.append(put(one, crud.updater(thing), rule=f"update_{name}", **own))
    if thing.delete:
        found.append(delete(one, crud.deleter(thing), rule=f"delete_{name}", status=204, **own))
    return found


def _tags(thing: Behaviour) -> list[Route]:
    path, name = f"/{thing.resource.path}/{{id}}/tags", thing.resource.name
    one = path + "/{tag}"
    see, add, set_, drop = (f"{verb}_{name}:tags" for verb in ("get", "create", "update", "delete"))
    own = {"target": "handler"}
    return [
        get(path, tags.lister(thing), rule=see, **own),
        post(path, tags.extender(thing), rule=add, status=201, **own),
        put(path, tags.replacer(thing), rule=set_, **own),
        delete(path, tags.clearer(thing), rule=drop, status=204, **own),
        get(one, tags.shower(thing), rule=see, status=204, **own),
        put(one, tags.adder(thing), rule=set_, status=201, **own),
        delete(one, tags.remover(thing), rule=drop, status=204, **own),
    ]


OWN = {"target": "handler"}
SPECIAL = (
    get("/", discovery.resources, rule=ANY),
    get("/extensions", discovery.extensions, rule=ANY),
    get("/extensions/{alias}", discovery.extension, rule=ANY),
    put("/routers/{id}/add_router_interface", routers.add_interface,
        rule="add_router_interface", **OWN),
    put("/routers/{id}/remove_router_interface", routers.remove_interface,
        rule="remove_router_interface", **OWN),
    put("/routers/{id}/add_extraroutes", routers.add_routes, rule="add_extraroutes", **OWN),
    put("/routers/{id}/remove_extraroutes", routers.remove_routes,
        rule="remove_extraroutes", **OWN),
    put("/subnetpools/{id}/add_prefixes", pools.add_prefixes, rule="add_prefixes", **OWN),
    put("/subnetpools/{id}/remove_prefixes", pools.remove_prefixes,
        rule="remove_prefixes", **OWN),
    get("/quotas", quota.list_all, rule="get_quota", **OWN),
    get("/quotas/tenant", quota.show_tenant, rule=ANY),
    get("/quotas/project", quota.show_tenant, rule=ANY),
    get("/quotas/{id}", quota.show, rule="get_quota", **OWN),
    get("/quotas/{id}/default", quota.show_default, rule="get_quota", **OWN),
    get("/quotas/{id}/details", quota.show_details, rule="get_quota", **OWN),
    get("/quotas/{id}/details.json", quota.show_details, rule="get_quota", **OWN),
    put("/quotas/{id}", quota.update, rule="update_quota", **OWN),
    delete("/quotas/{id}", quota.delete, rule="delete_quota", status=204, **OWN),
    get("/availability_zones", agents.zones, rule="get_availability_zone", **OWN),
    get("/network-ip-availabilities", discovery.availabilities,
        rule="get_network_ip_availability", **OWN),
    get("/network-ip-availabilities/{id}", discovery.availability,
        rule="get_network_ip_availability", **OWN),
    get("/service-providers", discovery.providers, rule="get_service_provider", **OWN),
    get("/auto-allocated-topology/{id}", topology.show,
        rule="get_auto_allocated_topology", **OWN),
    delete("/auto-allocated-topology/{id}", topology.delete,
           rule="delete_auto_allocated_topology", status=204, **OWN),
)  # fmt: skip

ROUTES = (
    *SPECIAL,
    *(route for thing in THINGS for route in _crud(thing)),
    *(route for thing in TAGGED for route in _tags(thing)),
)
ROOT_ROUTES = (get("/", discovery.versions, rule=PUBLIC, status=200),)
