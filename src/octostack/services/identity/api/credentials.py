# SPDX-License-Identifier: Apache-2.0
"""/v3/credentials and /v3/users/{user_id}/credentials/OS-EC2. Blobs lie sealed in the database."""

import hashlib
from typing import Any

import msgspec

from octostack.base import ids
from octostack.base.errors import Invalid
from octostack.runtime.http import Request
from octostack.services.identity.api import applications, lists
from octostack.services.identity.api.app import App
from octostack.services.identity.model import JSON, Credential
from octostack.services.identity.schema import base
from octostack.services.identity.schema import credentials as schema
from octostack.services.identity.store import rows

EC2 = "ec2"


async def create(app: App, req: Request) -> JSON:
    """POST /credentials."""
    given, extra = base.split(req.body["credential"], schema.KNOWN)
    req.authorize({"target.credential.user_id": given["user_id"]})
    id = ids.new_hex()
    if given["type"].lower() == EC2:
        await applications.check_unrestricted(app, req)
        id = _ec2_id(_ec2_blob(given["blob"])["access"])
        if not given.get("project_id"):
            raise Invalid("An EC2 credential needs a project.", field="project_id")
    blob = given.pop("blob")
    credential = Credential(id=id, sealed=app.seal(blob.encode()), extra=base.own(extra), **given)
    async with app.write() as tx:
        await rows.get(tx, rows.USERS, credential.user_id)
        await rows.insert(tx, rows.CREDENTIALS, credential)
    return {"credential": schema.view(credential, blob, app.base_url)}


async def show(app: App, req: Request) -> JSON:
    """GET /credentials/{credential_id}."""
    return {"credential": _view(app, await _authorized(app, req))}


async def list_all(app: App, req: Request) -> JSON:
    """GET /credentials: those that the caller may see one by one."""
    req.authorize({"target.credential.user_id": req.caller.user_id})
    wanted = lists.listing(req, ("user_id", "type"))
    found = [
        one
        for one in await lists.find(app, rows.CREDENTIALS, wanted)
        if req.allowed("identity:get_credential", _target(one))
    ]
    return lists.answer(app, req, "credentials", found, lambda c: _view(app, c))


async def update(app: App, req: Request) -> JSON:
    """PATCH /credentials/{credential_id}."""
    credential = await _authorized(app, req)
    given, extra = base.split(req.body["credential"], schema.KNOWN)
    req.authorize(_target(credential) | _given_target(given))
    _check_ec2_update(app, credential, given)
    changes: JSON = given | {"extra": credential.extra | base.own(extra)}
    if "blob" in given:
        changes["sealed"] = app.seal(changes.pop("blob").encode())
    async with app.write() as tx:
        if "user_id" in given:
            await rows.get(tx, rows.USERS, given["user_id"])
        credential = await rows.update(tx, rows.CREDENTIALS, credential, changes)
    return {"credential": _view(app, credential)}


async def delete(app: App, req: Request) -> None:
    """DELETE /credentials/{credential_id}."""
    credential = await _authorized(app, req)
    async with app.write() as tx:
        await rows.delete(tx, rows.CREDENTIALS, credential.id)


async def create_ec2(app: App, req: Request) -> JSON:
    """POST /users/{user_id}/credentials/OS-EC2."""
    user_id, project_id = req.params["user_id"], req.body["tenant_id"]
    req.authorize({"target.credential.user_id": user_id, "user_id": user_id})
    await applications.check_unrestricted(app, req)
    access = ids.new_hex()
    blob = {"access": access, "secret": ids.new_hex(), "trust_id": None}
    credential = Credential(
        id=_ec2_id(access),
        user_id=user_id,
        type=EC2,
        project_id=project_id,
        sealed=app.seal(msgspec.json.encode(blob)),
    )
    async with app.write() as tx:
        await rows.get(tx, rows.USERS, user_id)
        await rows.get(tx, rows.PROJECTS, project_id)
        await rows.insert(tx, rows.CREDENTIALS, credential)
    return {"credential": schema.ec2(credential, blob, app.base_url)}


async def list_ec2(app: App, req: Request) -> JSON:
    """GET /users/{user_id}/credentials/OS-EC2."""
    user_id = req.params["user_id"]
    req.authorize({"user_id": user_id})
    async with app.db.read() as tx:
        await rows.get(tx, rows.USERS, user_id)
    wanted = rows.Listing(equal={"user_id": user_id, "type": EC2})
    found = await lists.find(app, rows.CREDENTIALS, wanted)
    return lists.answer(app, req, "credentials", found, lambda c: _ec2_view(app, c))


async def show_ec2(app: App, req: Request) -> JSON:
    """GET /users/{user_id}/credentials/OS-EC2/{credential_id}; the id is the access key."""
    return {"credential": _ec2_view(app, await _authorized_ec2(app, req))}


async def delete_ec2(app: App, req: Request) -> None:
    """DELETE /users/{user_id}/credentials/OS-EC2/{credential_id}."""
    credential = await _authorized_ec2(app, req)
    async with app.write() as tx:
        await rows.delete(tx, rows.CREDENTIALS, credential.id)


async def _authorized(app: App, req: Request) -> Credential:
    async with app.db.read() as tx:
        credential = await rows.find(tx, rows.CREDENTIALS, req.params["credential_id"])
    req.authorize(_target(credential) if credential else {})
    if credential is None:
        raise rows.missing(rows.CREDENTIALS, req.params["credential_id"])
    return credential


async def _authorized_ec2(app: App, req: Request) -> Credential:
    user_id, access = req.params["user_id"], req.params["credential_id"]
    async with app.db.read() as tx:
        found = await rows.find(tx, rows.CREDENTIALS, _ec2_id(access))
    if found is not None and (found.user_id != user_id or found.type != EC2):
        found = None
    # A path under the user's own id gives nothing away: there, what is missing is missing.
    req.authorize({"target.credential.user_id": user_id})
    if found is None:
        raise rows.missing(rows.CREDENTIALS, access)
    return found


def _target(credential: Credential) -> JSON:
    return {
        "target.credential.user_id": credential.user_id,
        "target.credential.project_id": credential.project_id,
    }


def _given_target(given: JSON) -> JSON:
    names = ("user_id", "project_id")
    return {f"target.credential.{name}": given[name] for name in names if name in given}


def _view(app: App, credential: Credential) -> JSON:
    return schema.view(credential, app.unseal(credential.sealed).decode(), app.base_url)


def _ec2_view(app: App, credential: Credential) -> JSON:
    blob = msgspec.json.decode(app.unseal(credential.sealed))
    return schema.ec2(credential, blob, app.base_url)


def _ec2_id(access: str) -> str:
    """Keystone finds an EC2 key by the hash of its access half."""
    return hashlib.sha256(access.encode()).hexdigest()


def _ec2_blob(text: str) -> JSON:
    try:
        blob: Any = msgspec.json.decode(text.encode())
    except msgspec.DecodeError:
        blob = None
    if not isinstance(blob, dict) or not isinstance(blob.get("access"), str):
        raise Invalid("Invalid blob in credential", field="blob")
    return blob


def _check_ec2_update(app: App, credential: Credential, given: JSON) -> None:
    """What a key is bound to may not change."""
    if EC2 not in (credential.type.lower(), given.get("type", "").lower()) or "blob" not in given:
        return
    new = _ec2_blob(given["blob"])
    old = _ec2_blob(app.unseal(credential.sealed).decode()) if credential.type == EC2 else {}
    for name in ("trust_id", "app_cred_id", "access_token_id", "access_id"):
        if old.get(name) != new.get(name):
            raise Invalid(f"{name} can not be updated for credential", field="blob")
