# SPDX-License-Identifier: Apache-2.0
"""Commands about health checks that nobody wants to hear of."""

import errno
from typing import Final

from octostack.engines.ceph.mon.core import health
from octostack.engines.ceph.mon.core.answers import Answer, Failure
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.state import Change, Mute

_NANOS: Final = 1_000_000_000
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 365 * 86400}


def _seconds(text: str) -> int:
    number, unit = (text[:-1], text[-1]) if text[-1:].isalpha() else (text, "s")
    if not number.isdigit() or unit not in _UNITS:
        raise Failure(errno.EINVAL, "not a valid duration: " + text)
    return int(number) * _UNITS[unit]


def _mute(query: Query) -> Answer:
    code, ttl = query.text("code"), query.text("ttl")
    sticky = bool(query.arguments.get("sticky"))
    found = next((one for one in health.checks(query) if one.code == code), None)
    if found is None and not sticky:
        raise Failure(errno.ENOENT, f"health alert {code} is not currently raised")
    until = query.now_ns + _seconds(ttl) * _NANOS if ttl else 0
    summary, count = (found.summary, found.count) if found else ("", 0)
    made = {**query.state.mutes, code: Mute(until, sticky, summary, count)}
    return Answer(change=Change(mutes=made))


def _unmute(query: Query) -> Answer:
    code = query.text("code")
    left = {one: mute for one, mute in query.state.mutes.items() if code and one != code}
    return Answer(change=Change(mutes=left) if left != query.state.mutes else None)


_CODE: Final = "name=code,type=CephString"

TABLE: Final = (
    Command(
        f"health mute {_CODE} name=ttl,type=CephString,req=false "
        "name=sticky,type=CephBool,req=false",
        "say no more of a health check, for a while; --sticky: also when it is over",
        "mon",
        "w",
        _mute,
    ),
    Command(f"health unmute {_CODE},req=false", "say it again", "mon", "w", _unmute),
)
