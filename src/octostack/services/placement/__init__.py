# SPDX-License-Identifier: Apache-2.0
"""Placement: what every provider has, who holds how much of it, and where a request would fit.

A request runs: `routes` → `api` → (a read) `core.world`, the whole inventory of the cloud in
memory, column by column; or (a write) one transaction through `store.ledger`, which brings the
memory up to date first, decides in `core.claims`, writes rows and then the memory. The database
is the truth: a sequence number in it says when memory is behind, so any number of processes may
serve the same database.

Read first: `core/world.py` (what is in memory), `core/search.py` (candidates), `store/ledger.py`
(how a write keeps rows and memory together). Other services use `contracts.placement`, served by
`api/contract.py`.
"""
