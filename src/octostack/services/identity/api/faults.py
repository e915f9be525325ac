# SPDX-License-Identifier: Apache-2.0
"""Keystone's form of an error."""

from octostack.base.errors import Forbidden, OctoError, Unauthorized
from octostack.runtime.http import Fault
from octostack.runtime.http.faults import TITLES

_WHO = "The request you have made requires authentication."


class Faults:
    """Errors as Keystone tells them; `public_url` is where to log in."""

    def __init__(self, public_url: str) -> None:
        self._challenge = f'Keystone uri="{public_url}/identity"'

    def __call__(self, error: OctoError, status: int, _request_id: str) -> Fault:
        title = TITLES.get(status, "Error")
        body = {"error": {"code": status, "message": _message(error), "title": title}}
        headers = {"WWW-Authenticate": self._challenge} if status == 401 else {}
        headers["Vary"] = "X-Auth-Token"
        return Fault(status, body, headers)


def _message(error: OctoError) -> str:
    # Why a login failed helps a guesser more than a user; that a password has run out helps a user.
    if isinstance(error, Unauthorized):
        return error.message if error.details.get("tell") else _WHO
    if isinstance(error, Forbidden):
        what = error.details.get("rule", "") if error.code == "policy" else error.message
        return f"You are not authorized to perform the requested action: {what}."
    return error.message
