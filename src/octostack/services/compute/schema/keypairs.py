# SPDX-License-Identifier: Apache-2.0
"""Key pairs in and out."""

from octostack.base import clock
from octostack.runtime.http import versions
from octostack.services.compute.model import KeyPair
from octostack.services.compute.schema import terms
from octostack.services.compute.schema.terms import Json


def _create(version: tuple[int, int]) -> Json:
    # From 2.92 on a name may hold what is needed for "user@host".
    pattern = "^[a-zA-Z0-9-_:. @]+$" if version >= (2, 92) else "^[a-zA-Z0-9-_ ]+$"
    key: Json = {
        "name": {**terms.NAME, "pattern": pattern},
        "public_key": {"type": "string", "minLength": 1},
    }
    required = ["name"]
    if version >= (2, 2):
        key["type"] = {"type": "string", "enum": ["ssh", "x509"]}
    if version >= (2, 10):
        key["user_id"] = {"type": "string"}
    if version >= (2, 92):
        required.append("public_key")
    return terms.whole({"keypair": terms.whole(key, required)}, ["keypair"])


CREATE = versions(
    ("2.92", terms.compiled(_create((2, 92)))),
    ("2.10", terms.compiled(_create((2, 10)))),
    ("2.2", terms.compiled(_create((2, 2)))),
    ("2.1", terms.compiled(_create((2, 1)))),
)


def created(key: KeyPair, private_key: str | None, version: tuple[int, int]) -> Json:
    """The answer to a create: the only time a private key is shown."""
    view = _basic(key, version) | {"user_id": key.user_id}
    if private_key is not None:
        view["private_key"] = private_key
    return {"keypair": view}


def listed(keys: list[KeyPair], version: tuple[int, int]) -> list[Json]:
    """A list."""
    return [{"keypair": _basic(k, version)} for k in keys]


def detail(key: KeyPair, version: tuple[int, int]) -> Json:
    """The whole key pair."""
    return {
        "keypair": _basic(key, version)
        | {
            "user_id": key.user_id,
            "id": key.id,
            "created_at": clock.iso(key.created_at, micros=True, suffix=""),
            "updated_at": None,
            "deleted": False,
            "deleted_at": None,
        }
    }


def _basic(key: KeyPair, version: tuple[int, int]) -> Json:
    view: Json = {
        "name": key.name,
        "public_key": key.public_key,
        "fingerprint": key.fingerprint,
    }
    if version >= (2, 2):
        view["type"] = key.type
    return view
