# SPDX-License-Identifier: Apache-2.0
"""The inside of a token: Keystone's own layout (keystone/token/token_formatters.py, 2026.1).

A msgpack array (version, user, methods, [scope,] expiry, audit ids [, more]). A 32-digit hex id
travels as (true, 16 bytes), another as (false, text). Versions 3 to 7 and 10 belong to trusts,
federation and OAuth, which we do not issue. Version 9 is an application credential's.
"""

import base64
import binascii
import uuid
from typing import Any

import msgspec

from octostack.base.errors import Unauthorized
from octostack.services.identity.model import DEFAULT_DOMAIN_ID, Payload, Scope

UNSCOPED = 0
DOMAIN = 1
PROJECT = 2
SYSTEM = 8
APPLICATION_CREDENTIAL = 9

# A method is the bit at its place in Keystone's default `[auth] methods`.
METHODS = (
    "external",
    "password",
    "token",
    "oauth1",
    "mapped",
    "application_credential",
)

Id = tuple[bool, bytes | str]


def encode(payload: Payload) -> bytes:
    """The bytes to be sealed."""
    user = _pack_id(payload.user_id)
    methods = sum(1 << METHODS.index(method) for method in payload.methods)
    audit = [_from_base64(audit_id) for audit_id in payload.audit_ids]
    tail: tuple[Any, ...] = (payload.expires_at, audit)
    scope = payload.scope
    head: tuple[Any, ...]
    if payload.application_credential_id is not None:
        assert scope.project_id is not None
        head = (APPLICATION_CREDENTIAL, user, methods, _pack_id(scope.project_id))
        tail = (*tail, _pack_id(payload.application_credential_id))
    elif scope.project_id is not None:
        head = (PROJECT, user, methods, _pack_id(scope.project_id))
    elif scope.domain_id is not None:
        head = (DOMAIN, user, methods, _pack_domain(scope.domain_id))
    elif scope.system:
        head = (SYSTEM, user, methods, "all")
    else:
        head = (UNSCOPED, user, methods)
    return msgspec.msgpack.encode((*head, *tail))


def decode(raw: bytes, issued_at: float) -> Payload:
    """The facts in `raw`. Raises Unauthorized for what we cannot have written."""
    try:
        return _decode(msgspec.msgpack.decode(raw), issued_at)
    except (msgspec.DecodeError, ValueError, TypeError, IndexError, KeyError) as e:
        raise Unauthorized("Could not recognize Fernet token") from e


def new_audit_id(random16: bytes) -> str:
    """An audit id of 22 characters out of 16 random bytes."""
    return _to_base64(random16)


def _decode(parts: Any, issued_at: float) -> Payload:
    version, user, methods, *rest = parts
    scope, application_credential_id = Scope(), None
    if version == UNSCOPED:
        expires_at, audit = rest
    elif version == DOMAIN:
        raw_domain, expires_at, audit = rest
        scope = Scope(domain_id=_unpack_domain(raw_domain))
    elif version == PROJECT:
        raw_project, expires_at, audit = rest
        scope = Scope(project_id=_unpack_id(raw_project))
    elif version == SYSTEM:
        _all, expires_at, audit = rest
        scope = Scope(system=True)
    elif version == APPLICATION_CREDENTIAL:
        raw_project, expires_at, audit, raw_credential = rest
        scope = Scope(project_id=_unpack_id(raw_project))
        application_credential_id = _unpack_id(raw_credential)
    else:
        raise ValueError(version)
    return Payload(
        user_id=_unpack_id(user),
        methods=tuple(name for name in reversed(METHODS) if methods >> METHODS.index(name) & 1),
        expires_at=float(expires_at),
        audit_ids=tuple(_to_base64(audit_id) for audit_id in audit),
        issued_at=issued_at,
        scope=scope,
        application_credential_id=application_credential_id,
    )


def _pack_id(value: str) -> Id:
    try:
        # Keystone packs whatever uuid.UUID takes; only the plain form comes back as it went in.
        return (True, uuid.UUID(value).bytes) if len(value) == 32 else (False, value)
    except ValueError:
        return (False, value)


def _unpack_id(packed: Any) -> str:
    is_bytes, value = packed
    if is_bytes:
        return uuid.UUID(bytes=value).hex
    return value.decode() if isinstance(value, bytes) else str(value)


def _pack_domain(domain_id: str) -> bytes | str:
    return domain_id if domain_id == DEFAULT_DOMAIN_ID else uuid.UUID(domain_id).bytes


def _unpack_domain(value: Any) -> str:
    if isinstance(value, bytes) and len(value) == 16:
        return uuid.UUID(bytes=value).hex
    text = value.decode() if isinstance(value, bytes) else str(value)
    if text != DEFAULT_DOMAIN_ID:
        raise ValueError(text)
    return text


def _to_base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _from_base64(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "==")
    except binascii.Error as e:
        raise ValueError(text) from e
