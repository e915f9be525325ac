# SPDX-License-Identifier: Apache-2.0
"""Commands about the cluster's log."""

from typing import Final

from octostack.engines.ceph.mon.core import clusterlog, printing, views
from octostack.engines.ceph.mon.core.answers import Answer
from octostack.engines.ceph.mon.core.clusterlog import Line
from octostack.engines.ceph.mon.core.commands.table import Command, Query
from octostack.engines.ceph.mon.core.state import Change

_CHANNELS: Final = ("*", "cluster", "audit", "cephadm")


def _last(query: Query) -> Answer:
    least = clusterlog.LEVELS[query.text("level", "info")]
    channel = query.text("channel", "cluster")
    count = int(query.arguments.get("num", 20))
    found = [
        line
        for line in query.state.log
        if line.priority >= least and channel in {"*", line.channel}
    ][-count:]
    map_ = query.state.monmap
    ranks = {f"mon.{name}": f"mon.{rank}" for rank, name in enumerate(map_.ranks)}
    shown = [
        clusterlog.view(line, ranks, printing.stamp(line.stamp), views.addresses(line.addresses))
        for line in found
    ]
    text = "".join(
        f"{printing.stamp(line.stamp)} {line.who} ({ranks.get(line.who, line.who)}) {line.seq} : "
        f"{line.channel} [{clusterlog.MARKS[line.priority]}] {line.text}\n"
        for line in found
    )
    return query.show(shown, text)


def _say(query: Query) -> Answer:
    text = " ".join(map(str, query.arguments["logtext"]))
    return Answer(change=Change(log=(Line(query.who.asking, text),)))


TABLE: Final = (
    Command(
        "log last name=num,type=CephInt,range=1,req=false "
        f"name=level,type=CephChoices,strings={'|'.join(clusterlog.LEVELS)},req=false "
        f"name=channel,type=CephChoices,strings={'|'.join(_CHANNELS)},req=false",
        "the last lines of the cluster's log",
        "mon",
        "r",
        _last,
    ),
    Command(
        "log name=logtext,type=CephString,n=N",
        "a line for the cluster's log",
        "mon",
        "rw",
        _say,
    ),
)
