# SPDX-License-Identifier: Apache-2.0
"""Commands about the cluster as a whole: status, health, space, monitors."""

from typing import Final

from octostack.engines.ceph.mon.core import health, spaceview, views
from octostack.engines.ceph.mon.core.answers import Answer
from octostack.engines.ceph.mon.core.commands.table import Command, Query

VERSION_TEXT: Final = "ceph version 16.2.15 (octostack) pacific (stable)"


def _status(query: Query) -> Answer:
    return query.show(views.status(query), views.status_text(query))


def _health(query: Query) -> Answer:
    detailed = query.text("detail") == "detail"
    found = health.view(query, detailed=detailed)
    return query.show(found, health.text(query, detailed=detailed))


def _df(query: Query) -> Answer:
    detailed = query.text("detail") == "detail"
    text = spaceview.df_text(query, detailed=detailed)
    return query.show(spaceview.df(query, detailed=detailed), text)


def _mon_stat(query: Query) -> Answer:
    return query.show(views.mon_stat(query), views.mon_stat_text(query))


def _versions(query: Query) -> Answer:
    mons = {VERSION_TEXT: len(query.quorum.members)}
    osds = {VERSION_TEXT: len(views.list_up(query.state.osdmap))}
    overall = {VERSION_TEXT: sum(mons.values()) + sum(osds.values())}
    mgrmap = query.state.mgrmap
    count = int(mgrmap.available) + len(mgrmap.standbys)
    managers = {VERSION_TEXT: count} if count else {}
    overall[VERSION_TEXT] += sum(managers.values())
    return query.show({"mon": mons, "mgr": managers, "osd": osds, "mds": {}, "overall": overall})


TABLE: Final = (
    Command("status", "show cluster status", "mon", "r", _status),
    Command(
        "health name=detail,type=CephChoices,strings=detail,req=false",
        "show cluster health",
        "mon",
        "r",
        _health,
    ),
    Command(
        "df name=detail,type=CephChoices,strings=detail,req=false",
        "show cluster free space stats",
        "mon",
        "r",
        _df,
    ),
    Command(
        "fsid",
        "show cluster FSID/UUID",
        "mon",
        "r",
        lambda query: query.show(
            {"fsid": str(query.state.monmap.fsid)}, f"{query.state.monmap.fsid}\n"
        ),
    ),
    Command(
        "version",
        "show mon daemon version",
        "mon",
        "r",
        lambda query: query.show({"version": VERSION_TEXT}, VERSION_TEXT + "\n"),
    ),
    Command("versions", "check running versions of ceph daemons", "mon", "r", _versions),
    Command(
        "quorum_status",
        "report status of monitor quorum",
        "mon",
        "r",
        lambda query: query.show(views.quorum(query)),
    ),
    Command("mon stat", "summarize monitor status", "mon", "r", _mon_stat),
)
