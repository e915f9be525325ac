# SPDX-License-Identifier: Apache-2.0
"""Image: a catalogue of disk images, and their bytes.

A request runs: `routes` → `api` → (reads and decisions) `core` → `store`. Rows are in a database;
bytes are in a blob store behind `store.blobs.Blobs`, files by default. An upload is written under
a key of its own, inspected and hashed on the way (`core.intake`), made durable, and only then named
by a row; so an interrupted one is never seen, and what it left behind belongs to no row and is
removed (`loops.scrub`).

Read first: `model.py`, `api/data.py` (the life of an upload), `store/blobs.py`. Other services use
`contracts.image`, served by `api/contract.py`.
"""
