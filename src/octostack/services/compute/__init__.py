# SPDX-License-Identifier: Apache-2.0
"""Compute: servers and the hosts they run on, behind the OpenStack Compute API v2.1 to 2.96.

How a request runs: `routes` names the handler, its policy rule and body schema; a handler in
`api` reads rows, asks `core` (pure) to decide, writes the rows and wakes a loop. From there
`loops` drive the world to the rows: the boot saga claims a place, makes ports and orders the
machine from the host's agent; the task loop does the same for every other action. What agents
report arrives by `contracts.compute` and is written as observed state.

The store is two databases from the start: `store.api_db` holds what is global (flavors, key
pairs, groups, aggregates, quotas, which cell a server lives in), `store.cell_db` what belongs
to a cell (servers, their actions, hosts). There is one cell today.

What old versions of the API offer of other services (`api/asking.py`: security groups, floating
ips, networks, images) is asked of those services' own APIs, as the user; they decide.

Read first: `model`, then `core/states.py` (the state machine as data), `core/boot.py`,
`loops/boot.py`, and `core/scheduling` for where a server goes.
"""
