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
    """The second that a token issued `now` shall say, so that no event of this second fits it.

    That may be the next one, far within the clock skew that a reader of Fernet grants. `domains`
    are the project's and the user's.
    """
    ageless = msgspec.structs.replace(payload, issued_at=0.0)
    fitting = [event for event in events if cancels(event, ageless, *domains)]
    return float(max([int(now), *(int(event.issued_before) + 1 for event in fitting)]))


def event_time(now: float, latest: float | None) -> float:
    """Before when tokens shall have been issued to be cancelled by an event that happens `now`.

    `latest` is that of the last event of all: a token may have been moved past it into the next
    second, and this event must reach that one too.
    """
    return now if latest is None or latest < int(now) else float(int(latest) + 1)
