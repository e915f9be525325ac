# SPDX-License-Identifier: Apache-2.0
"""A real Ceph cluster on this machine in one directory, from Debian's programs, without systemd.

The measure that ours is held against: monitors, a manager and OSDs as processes of their own on
127.0.0.1, BlueStore on files (or memstore, for who only compares answers). What they write stands
in `log/` of the directory.
"""

import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from octostack.base import clock, ids
from octostack.base.errors import Timeout, Unavailable

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "ceph-mgr", "ceph-authtool", "monmaptool")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
COMMAND_TIMEOUT_S = 60.0
UP_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0
_POLL_S = 0.1

_CONF = """[global]
fsid = {fsid}
mon initial members = {members}
mon host = {hosts}
auth cluster required = {auth}
auth service required = {auth}
auth client required = {auth}
auth allow insecure global id reclaim = false
keyring = {directory}/keyring
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
log file = {directory}/log/$name.log
log to stderr = false
run dir = {directory}/run
admin socket = {directory}/run/$name.$pid.asok
crash dir = {directory}/crash
osd crush chooseleaf type = 0
osd pool default size = {size}
osd pool default min size = 1
osd pool default pg num = 32
osd pool default pgp num = 32
osd pool default pg autoscale mode = off
mon allow pool delete = true
mon allow pool size one = true
mon warn on pool no redundancy = false
mon warn on pool no app = false
mon max pg per osd = 2000
mon data avail warn = 2
mon data avail crit = 1
mon osd full ratio = 0.95
mon data = {directory}/$name
mgr data = {directory}/$name
osd data = {directory}/$name
osd objectstore = {objectstore}
bluestore block size = {osd_bytes}
memstore device bytes = {osd_bytes}
osd memory target = 939524096
osd class load list = *
osd class default list = *
"""


@functools.cache
def find_missing() -> str:
    """Why there can be no real cluster here; empty when there can."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    return f"not installed: {', '.join(missing)}; run `make setup` as root" if missing else ""


class RealCeph:
    """One cluster; `up` makes it where the directory holds none."""

    def __init__(
        self,
        directory: Path,
        *,
        osds: int = 3,
        mons: int = 1,
        auth: str = "cephx",
        objectstore: str = "bluestore",
    ) -> None:
        self.directory = directory.absolute()
        self.conf = self.directory / "ceph.conf"
        self.osds = osds
        self._mons = ["abcde"[number] for number in range(mons)]
        self._auth = auth
        self._objectstore = objectstore
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def up(self, *, osd_bytes: int = 8 << 30, settings: str = "") -> None:
        """Start all that does not run; return when every OSD is up and every group clean.

        `settings` are lines for ceph.conf of a new cluster. Raises Timeout, Unavailable.
        """
        new = not self.conf.exists()
        if new:
            self._found(osd_bytes, settings)
        for name in self._mons:
            self.start(f"mon.{name}")
        if new:
            self._make_osds()
        self.start("mgr.x")
        for number in range(self.osds):
            self.start(f"osd.{number}")
        self._wait_until(self._is_clean, "all to be active and clean")

    def down(self) -> None:
        """Stop all, OSDs first; the data stays."""
        for kind in ("osd", "mgr", "mon"):
            names = [name for name in self._daemons if name.startswith(kind)]
            for name in names:
                self._daemons[name].send_signal(signal.SIGTERM)
            for name in names:
                daemon = self._daemons.pop(name)
                try:
                    daemon.wait(STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()

    def start(self, name: str) -> None:
        """Start the daemon with this name ("osd.0"), unless it runs."""
        running = self._daemons.get(name)
        if running is not None and running.poll() is None:
            return
        kind, _, number = name.partition(".")
        with (self.directory / "log" / f"{name}.out").open("ab") as out:
            self._daemons[name] = subprocess.Popen(
                [f"ceph-{kind}", "-i", number, "-c", str(self.conf), "-f"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=_environment(),
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """End a daemon at once, as a crash does."""
        daemon = self._daemons.pop(name)
        daemon.kill()
        daemon.wait()

    def pids(self, *kinds: str) -> list[int]:
        """The processes that run, of these kinds ("mon", "osd", "mgr")."""
        return [
            daemon.pid
            for name, daemon in self._daemons.items()
            if daemon.poll() is None and name.split(".")[0] in kinds
        ]

    def run(self, program: str, *words: str, data: bytes = b"") -> bytes:
        """The output of a program of Ceph's on this cluster. Raises Unavailable when it fails."""
        return _run([program, "-c", str(self.conf), *words], data)

    # -- making

    def _found(self, osd_bytes: int, settings: str) -> None:
        for name in ("log", "run", "crash"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        places = {name: f"127.0.0.1:{port}" for name, port in _free_ports(self._mons)}
        fsid = ids.new()
        text = _CONF.format(
            fsid=fsid,
            members=",".join(places),
            hosts=",".join(f"[v2:{place}]" for place in places.values()),
            auth=self._auth,
            directory=self.directory,
            size=min(3, self.osds),
            objectstore=self._objectstore,
            osd_bytes=osd_bytes,
        )
        keyring, mon_keys = self.directory / "keyring", str(self.directory / "keyring.mon")
        tool = "ceph-authtool"
        caps = [
            word for kind in ("mon", "osd", "mgr", "mds") for word in ("--cap", kind, "allow *")
        ]
        _run([tool, "--create-keyring", "--gen-key", "-n", "client.admin", *caps, str(keyring)])
        _run([tool, "--create-keyring", "--gen-key", "-n", "mon.", *caps[:3], mon_keys])
        _run([tool, "--import-keyring", str(keyring), mon_keys])
        map_file = str(self.directory / "monmap")
        _run(["monmaptool", "--create", "--fsid", fsid, "--enable-all-features", map_file])
        self.conf.write_text(text + settings)
        for name, place in places.items():
            _run(["monmaptool", "--addv", name, f"[v2:{place}]", map_file])
        for name in places:
            (self.directory / f"mon.{name}").mkdir()
            made = ["ceph-mon", "--mkfs", "-i", name, "-c", str(self.conf)]
            _run([*made, "--monmap", map_file, "--keyring", mon_keys])
            shutil.copy(mon_keys, self.directory / f"mon.{name}" / "keyring")

    def _make_osds(self) -> None:
        caps = ("mon", "allow profile mgr", "osd", "allow *", "mds", "allow *")
        (self.directory / "mgr.x").mkdir()
        key = self.run("ceph", "auth", "get-or-create", "mgr.x", *caps)
        (self.directory / "mgr.x" / "keyring").write_bytes(key)
        self._add_section("mgr.x")
        making = [self._begin_osd(number) for number in range(self.osds)]
        codes = [made.wait(UP_TIMEOUT_S) for made in making]
        if any(codes):
            raise Unavailable("ceph-osd --mkfs failed; see log/mkfs.out", code="realceph.mkfs")

    def _begin_osd(self, number: int) -> subprocess.Popen[bytes]:
        """Declare an OSD and begin to make its store."""
        place = self.directory / f"osd.{number}"
        place.mkdir()
        unique, secret = ids.new(), _run(["ceph-authtool", "--gen-print-key"]).strip()
        self._add_section(f"osd.{number}")
        (place / "keyring").write_text(f"[osd.{number}]\n\tkey = {secret.decode()}\n")
        params = json.dumps({"cephx_secret": secret.decode()}).encode()
        self.run("ceph", "osd", "new", unique, "-i", "-", data=params)
        words = ["ceph-osd", "-c", str(self.conf), "-i", str(number)]
        with (self.directory / "log" / "mkfs.out").open("ab") as out:
            return subprocess.Popen(
                [*words, "--mkfs", "--osd-uuid", unique],
                stdout=out,
                stderr=out,
                env=_environment(),
            )

    def _add_section(self, name: str) -> None:
        with self.conf.open("a") as conf:
            conf.write(f"[{name}]\nkeyring = {self.directory}/{name}/keyring\n")

    def _is_clean(self) -> bool:
        state = json.loads(self.run("ceph", "-s", "-f", "json"))
        osds, groups = state["osdmap"], state["pgmap"]
        counts = {one["state_name"]: one["count"] for one in groups["pgs_by_state"]}
        return bool(
            osds["num_up_osds"] == self.osds
            and state["mgrmap"]["available"]
            and counts.get("active+clean", 0) == groups["num_pgs"]
            and groups["num_pgs"] >= 1  # the manager's own pool
        )

    def _wait_until(self, is_so: Callable[[], bool], what: str) -> None:
        deadline = clock.monotonic() + UP_TIMEOUT_S
        while not is_so():
            if clock.monotonic() > deadline:
                raise Timeout(f"Waited in vain for {what}.", code="realceph.timeout")
            time.sleep(_POLL_S)


def _run(words: Sequence[str], data: bytes = b"") -> bytes:
    done = subprocess.run(
        words,
        input=data,
        capture_output=True,
        env=_environment(),
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace")
        raise Unavailable(f"{' '.join(words)}: {said}", code="realceph.command")
    return done.stdout


def _environment() -> dict[str, str]:
    """Ours without what concerns Python: Ceph's programs run under the system's."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "CEPH", "VIRTUAL"))}
    return {**kept, "PATH": PATH}


def _free_ports(names: Sequence[str]) -> list[tuple[str, int]]:
    with contextlib.ExitStack() as held:
        socks = [held.enter_context(contextlib.closing(socket.socket())) for _ in names]
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return [(name, sock.getsockname()[1]) for name, sock in zip(names, socks, strict=True)]
