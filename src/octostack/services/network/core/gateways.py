# SPDX-License-Identifier: Apache-2.0
"""Which host serves a router's gateway."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from octostack.services.network.model import nouns


def place(
    routers: Iterable[nouns.Router],
    agents: Iterable[nouns.Agent],
    physical: Mapping[str, str],
    alive: Iterable[str],
    silent: Collection[str] = (),
) -> dict[str, str]:
    """Router to its new host, for those that have to move.

    `physical` maps external networks to physical ones. A router stays where it can be served, and
    where the host is `silent`: not heard of yet, and not given up. Else it goes to the living host
    with the fewest gateways; with none it stays as it is.
    """
    living = set(alive)
    wanted = list(routers)
    load = Counter(router.gateway_host for router in wanted if router.gateway_host)
    by_physical: dict[str, list[str]] = {}
    for agent in agents:
        if agent.host in living and agent.admin_state_up:
            for name in agent.external_networks:
                by_physical.setdefault(name, []).append(agent.host)
    moves: dict[str, str] = {}
    for router in sorted(wanted, key=lambda router: router.id):
        hosts = by_physical.get(physical.get(router.gateway_network_id or "", ""), [])
        if not hosts or router.gateway_host in hosts or router.gateway_host in silent:
            continue
        chosen = min(hosts, key=lambda host: (load[host], host))
        load[router.gateway_host] -= 1
        load[chosen] += 1
        moves[router.id] = chosen
    return moves
