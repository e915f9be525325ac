# SPDX-License-Identifier: Apache-2.0
"""What clients need to log in: ``clouds.yaml``, ``openrc`` and the same as shell variables."""

import os
from pathlib import Path

import msgspec

REGION = "RegionOne"
# cloud name -> user and project made at the first start
LOGINS = {"octostack": "admin", "demo": "demo"}


def variables(url: str, password: str, user: str = "admin") -> dict[str, str]:
    """The OS_* variables of one login."""
    return {
        "OS_AUTH_TYPE": "password",
        "OS_AUTH_URL": f"{url}/identity/v3",
        "OS_IDENTITY_API_VERSION": "3",
        "OS_USERNAME": user,
        "OS_PASSWORD": password,
        "OS_PROJECT_NAME": user,
        "OS_USER_DOMAIN_ID": "default",
        "OS_PROJECT_DOMAIN_ID": "default",
        "OS_REGION_NAME": REGION,
    }


def write(directory: Path, url: str, passwords: dict[str, str]) -> None:
    """Write both files, readable by the owner alone; `passwords` are by user."""
    clouds = {
        name: {
            "auth": {
                "auth_url": f"{url}/identity/v3",
                "username": user,
                "password": passwords[user],
                "project_name": user,
                "user_domain_id": "default",
                "project_domain_id": "default",
            },
            "region_name": REGION,
            "interface": "public",
            "identity_api_version": 3,
        }
        for name, user in LOGINS.items()
    }
    system = {"auth_url": f"{url}/identity/v3", "username": "admin", "system_scope": "all",
              "password": passwords["admin"], "user_domain_id": "default"}  # fmt: skip
    clouds["octostack-system"] = {
        "auth": system,
        "region_name": REGION,
        "interface": "public",
        "identity_api_version": 3,
    }
    # JSON is YAML, and needs no library to be written right.
    text = msgspec.json.format(msgspec.json.encode({"clouds": clouds}), indent=2)
    _private(directory / "clouds.yaml", text + b"\n")
    lines = [f"export {k}={v}" for k, v in variables(url, passwords["admin"]).items()]
    _private(directory / "openrc", "\n".join([*lines, ""]).encode())


def _private(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    draft.replace(path)
