# SPDX-License-Identifier: Apache-2.0
"""Console tokens: what is handed out and what is kept."""

import hashlib


def hash_of(token: str) -> str:
    """What is kept of a console token, so that a copy of the database opens no console."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
