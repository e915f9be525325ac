# SPDX-License-Identifier: Apache-2.0
"""Routers: which routes are possible, which networks go together."""

import ipaddress
from collections.abc import Collection, Iterable

from octostack.services.network.model.faults import fault
from octostack.services.network.model.nouns import Items, Subnet

ROUTES_MAX = 30


def check_routes(
    router_id: str, routes: Items, cidrs: Iterable[str], own_addresses: Collection[str]
) -> None:
    """Every next hop must be a neighbour and not the router itself. Raises Invalid."""
    if len(routes) > ROUTES_MAX:
        raise fault("RoutesExhausted", router_id=router_id, quota=ROUTES_MAX)
    known = [ipaddress.ip_network(cidr) for cidr in cidrs]
    for route in routes:
        hop = ipaddress.ip_address(route["nexthop"])
        if ipaddress.ip_network(route["destination"]).version != hop.version:
            raise fault("InvalidRoutes", routes=routes, reason="the versions of IP differ")
        if not any(hop in net for net in known):
            raise fault(
                "InvalidRoutes",
                routes=routes,
                reason="the nexthop is not connected with router",
            )
        if str(hop) in own_addresses:
            raise fault("InvalidRoutes", routes=routes, reason="the nexthop is used by router")


def check_unused_by_routes(router_id: str, subnet: Subnet, routes: Items) -> None:
    """Refuse to take away a subnet that a route's next hop lies in. Raises Conflict."""
    net = ipaddress.ip_network(subnet.cidr)
    if any(ipaddress.ip_address(route["nexthop"]) in net for route in routes):
        raise fault("RouterInterfaceInUseByRoute", router_id=router_id, subnet_id=subnet.id)


def check_no_overlap(new: Subnet, present: Iterable[Subnet]) -> None:
    """Refuse a subnet that overlaps one the router has. Raises Invalid."""
    net = ipaddress.ip_network(new.cidr)
    for other in present:
        if other.id == new.id:
            raise fault(
                "BadRequest", resource="router", msg=f"Router already has a port on subnet {new.id}"
            )
        known = ipaddress.ip_network(other.cidr)
        if known.version == net.version and known.overlaps(net):
            raise fault(
                "BadRequest",
                resource="router",
                msg=f"Cidr {new.cidr} of subnet {new.id} overlaps with cidr {other.cidr} of "
                f"subnet {other.id}",
            )


def added(routes: Items, more: Items) -> Items:
    """The routes with `more` at the end; one that is there already stays as it is."""
    return routes + [route for route in more if route not in routes]


def removed(routes: Items, gone: Items) -> Items:
    """The routes without `gone`; one that is not there is no error."""
    return [route for route in routes if route not in gone]
