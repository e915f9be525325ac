# SPDX-License-Identifier: Apache-2.0
"""Key pairs: imported, or (up to 2.91) generated."""

import asyncio
import base64
import binascii
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from octostack.base import clock
from octostack.base.errors import Conflict, Invalid, NotFound, OverQuota
from octostack.runtime.http import Request, Response
from octostack.services.compute.api import lookup
from octostack.services.compute.model import KeyPair
from octostack.services.compute.schema import keypairs as schema
from octostack.services.compute.store.api_db import keypairs as store
from octostack.services.compute.store.api_db import quotas
from octostack.services.compute.store.app import App

_BITS = 2048
_CERTIFICATE_DAYS = 3650


async def create(app: App, req: Request) -> Any:
    """POST /os-keypairs"""
    given = req.body["keypair"]
    user_id = given.get("user_id") or req.caller.user_id
    req.authorize({"user_id": user_id})
    kind, name = given.get("type", "ssh"), given["name"]
    private_key: str | None = None
    public_key = given.get("public_key")
    if public_key is None:
        made = await asyncio.to_thread(_generate, kind, req.caller.user_id)
        public_key, private_key = made
    key = KeyPair(
        user_id=user_id,
        name=name,
        type=kind,
        fingerprint=fingerprint(kind, public_key),
        public_key=public_key,
        created_at=clock.now(),
    )
    async with app.api_db.write() as tx:
        limits = await quotas.effective(tx, req.caller.project_id or "", user_id)
        if await store.find(tx, user_id, name):
            raise Conflict(f"Key pair '{name}' already exists.", code="KeyPairExists")
        if 0 <= limits["key_pairs"] <= await store.count(tx, user_id):
            raise OverQuota("Quota exceeded, too many key pairs.", code="KeypairLimitExceeded")
        await store.insert(tx, key)
    status = 201 if req.version >= (2, 2) else 200
    return Response(schema.created(key, private_key, req.version), status=status)


async def index(app: App, req: Request) -> Any:
    """GET /os-keypairs"""
    user_id = _user(req)
    req.authorize({"user_id": user_id})
    limit, marker = app.config.max_limit, None
    if req.version >= (2, 35):
        asked = lookup.whole_number(req, "limit")
        limit = limit if asked is None else min(asked, limit)
        marker = req.query.get("marker")
    async with app.api_db.read() as tx:
        found = await store.list_of_user(tx, user_id, limit, marker)
    body: dict[str, Any] = {"keypairs": schema.listed(found, req.version)}
    if req.version >= (2, 35) and found and len(found) == limit:
        body["keypairs_links"] = lookup.next_links(req, found[-1].name)
    return body


async def show(app: App, req: Request) -> Any:
    """GET /os-keypairs/{name}"""
    return schema.detail(await _get(app, req), req.version)


async def delete(app: App, req: Request) -> Any:
    """DELETE /os-keypairs/{name}"""
    key = await _get(app, req)
    async with app.api_db.write() as tx:
        await store.delete(tx, key.user_id, key.name)
    return Response(status=204 if req.version >= (2, 2) else 202)


async def _get(app: App, req: Request) -> KeyPair:
    user_id, name = _user(req), req.params["name"]
    req.authorize({"user_id": user_id})
    async with app.api_db.read() as tx:
        key = await store.find(tx, user_id, name)
    if key is None:
        raise NotFound(f"Keypair {name} not found for user {user_id}", code="KeypairNotFound")
    return key


def _user(req: Request) -> str:
    """From 2.10 on an administrator may name another user."""
    return (req.version >= (2, 10) and req.query.get("user_id")) or req.caller.user_id


def fingerprint(kind: str, public_key: str) -> str:
    """MD5 of an SSH key's bytes, SHA-1 of a certificate. Raises Invalid for what is neither."""
    # a fifth of a second to import, which a cloud that starts would pay without need
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415

    try:
        return _of_certificate(public_key) if kind == "x509" else _of_ssh_key(public_key)
    except (ValueError, IndexError, binascii.Error, UnsupportedAlgorithm, UnicodeError) as e:
        raise Invalid(
            "Keypair data is invalid: failed to generate fingerprint", field="public_key"
        ) from e


def _of_certificate(text: str) -> str:
    from cryptography import x509  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

    return _colons(x509.load_pem_x509_certificate(text.encode()).fingerprint(hashes.SHA1()))


def _of_ssh_key(text: str) -> str:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - as above

    serialization.load_ssh_public_key(text.strip().encode())
    blob = base64.b64decode(text.split()[1])
    return _colons(hashlib.md5(blob, usedforsecurity=False).digest())


def _generate(kind: str, user_id: str) -> tuple[str, str]:
    """A public key, or a certificate a user logs in with, and its private key."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    if kind == "x509":
        return _certificate(key, user_id), private.decode()
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return public.decode() + " Generated-by-Nova", private.decode()


def _certificate(key: Any, user_id: str) -> str:
    """Self-signed and for client authentication, as WinRM takes them."""
    from cryptography import x509  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user_id[:64])])
    start = datetime.fromtimestamp(clock.now(), UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(clock.token_bytes(16)) >> 1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=_CERTIFICATE_DAYS))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def _colons(digest: bytes) -> str:
    return ":".join(f"{b:02x}" for b in digest)
