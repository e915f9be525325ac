# SPDX-License-Identifier: Apache-2.0
"""Network v2.0: networks, subnets, ports, routers, floating addresses, security groups.

A request falls through five files. `routes` names the handler. `api.crud` does what is the same
for every resource (body, filters, pages, policy, revisions, quotas, bulk) by the declared table in
`schema`; `api.<resource>` does what is special about one, in one transaction: read by `store`,
decide by `core`, write by `store`. What was written is noted as a change in the same transaction.

From there on loops carry it out. `loops.fabric` keeps the rows that hosts must know in memory
(`core.intent`), brings them up to date by the noted changes, and tells each host's agent what
changed for it. `loops.bindings` takes what agents report: ports become ACTIVE or DOWN, and Compute
is told.

Read first: `schema.networks` (what a declared resource looks like), `api.crud`, `core.ipam`.
"""
