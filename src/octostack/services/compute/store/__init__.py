# SPDX-License-Identifier: Apache-2.0
"""Every SQL statement of Compute.

`api_db` is global: flavors, key pairs, groups, aggregates, quotas, and in which cell a server
lives. `cell_db` is one per cell: servers, what was done to them, hosts, console tokens.
Functions take a transaction of the right database and speak in `model` structs.
"""
