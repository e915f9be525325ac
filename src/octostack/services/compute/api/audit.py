# SPDX-License-Identifier: Apache-2.0
"""The log of usage audits: here, as where an operator never turned them on, none has been run.

What a project used is told by os-simple-tenant-usage.
"""

from datetime import UTC, datetime
from typing import Any

from octostack.base import clock
from octostack.base.errors import Invalid
from octostack.runtime.http import Request
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import hosts


async def index(app: App, _req: Request) -> Any:
    """GET /os-instance_usage_audit_log"""
    return {"instance_usage_audit_logs": await _log(app, _utc(clock.now()))}


async def show(app: App, req: Request) -> Any:
    """GET /os-instance_usage_audit_log/{before}"""
    text = req.params["before"]
    try:
        form = "%Y-%m-%d %H:%M:%S.%f" if "." in text else "%Y-%m-%d %H:%M:%S"
        before = datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError as e:
        raise Invalid(f"Invalid timestamp for date {text[:100]}", field="before") from e
    return {"instance_usage_audit_log": await _log(app, before)}


async def _log(app: App, before: datetime) -> dict[str, Any]:
    """The last whole month that ended before then, and that no host was audited for it."""
    async with app.cell_db.read() as tx:
        names = [h.host for h in await hosts.list_all(tx)]
    end = before.replace(day=1, hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    month = end.year * 12 + end.month - 2
    begin = end.replace(year=max(1, month // 12), month=month % 12 + 1)
    done = f"0 of {len(names)}" if names else "ALL"
    return {
        "period_beginning": str(begin),
        "period_ending": str(end),
        "num_hosts": len(names),
        "num_hosts_done": 0,
        "num_hosts_running": 0,
        "num_hosts_not_run": len(names),
        "hosts_not_run": names,
        "total_instances": 0,
        "total_errors": 0,
        "overall_status": f"{done} hosts done. 0 errors.",
        "log": {},
    }


def _utc(t: float) -> datetime:
    return datetime.fromtimestamp(t, UTC)
