# SPDX-License-Identifier: Apache-2.0
"""Does an event cancel a token? Every attribute the event names must fit."""

from collections.abc import Iterable

import msgspec

from octostack.services.identity.model import Payload, Revocation


def is_revoked(
    payload: Payload,
    project_domain_id: str | None,
    user_domain_id: str | None,
    events: Iterable[Revocation],
) -> bool:
    """True if any of `events` cancels the token of `payload`."""
    return any(cancels(event, payload, project_domain_id, user_domain_id) for event in events)


def cancels(
    event: Revocation, payload: Payload, project_domain_id: str | None, user_domain_id: str | None
) -> bool:
    """True if `event` cancels the token of `payload`."""
    # A Fernet token knows only the second of its issue. One of the event's own second counts as
    # older: what was just taken away must not stay by luck (`issue_time` keeps new logins clear).
    if payload.issued_at > int(event.issued_before):
        return False
    scope = payload.scope
    domains = (scope.domain_id, project_domain_id, user_domain_id)
    return (
        event.user_id in (None, payload.user_id)
        and event.project_id in (None, scope.project_id)
        and (event.domain_id is None or event.domain_id in domains)
        and event.audit_id in (None, payload.audit_ids[0])
        and event.audit_chain_id in (None, payload.audit_ids[-1])
        and event.application_credential_id in (None, payload.application_credential_id)
    )


def issue_time(
    now: float,
    payload: Payload,
    domains: tuple[str | None, str | None],
    events: Iterable[Revocation],
) -> float:
    """When a token issued `now` shall say it was issued, so that no event of this second fits.

    At most one second ahead, far within the clock skew that a reader of Fernet grants. `domains`
    are the project's and the user's.
    """
    fresh = msgspec.structs.replace(payload, issued_at=float(int(now)))
    return now + 1 if is_revoked(fresh, *domains, events) else now
