# SPDX-License-Identifier: Apache-2.0
"""The `octostack` command.

What `up` needs is loaded here and no more: this is on the way to the first token.
"""

import argparse
import collections
import shutil
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn

import msgspec

import octostack
from octostack.apps import clients, host, show, start
from octostack.apps.state import StateDir
from octostack.base import clock
from octostack.base.errors import Conflict, OctoError

BEGAN = clock.monotonic()
STOP_TIMEOUT_S = 30.0


def up(
    *,
    state_dir: Path | None,
    detach: bool,
    simulate: int | None,
    port: int | None,
) -> None:
    """Start the cloud."""
    state = _state(state_dir)
    wanted = simulate if simulate is not None else state.remembered().simulate
    if not wanted:
        _refuse_if_missing(host.missing())
    options = start.Options(state_dir=str(state.path), simulate=simulate, port=port, began=BEGAN)
    show.say(f"Starting the cloud in {state.path}")
    if detach:
        show.ready(state, start.detached(options, show.progress))
        return

    def listener(line: dict[str, Any]) -> None:
        show.progress(line)
        ready = state.ready() if "ready" in line else None
        if ready is not None:
            show.ready(state, ready)
            show.say("\nCtrl-C stops it.")

    start.foreground(options, listener)


def down(*, state_dir: Path | None, keep_guests: bool) -> None:
    """Stop the cloud; no process of it is left, all data is kept."""
    state = _state(state_dir)
    stopped = state.terminate(STOP_TIMEOUT_S)
    if not keep_guests:
        _await(host.stop(state.path))
    show.say("The cloud is down." if stopped else "No cloud was running.")


def run(*, parts: list[str], state_dir: Path | None, port: int | None, name: str) -> None:
    """Run some parts in this process: identity placement image network compute hosts front.

    Their configuration names the bus and the endpoints that bring the parts together.
    """
    unknown = set(parts) - host.PARTS
    if unknown:
        _fail(f"No such part: {', '.join(sorted(unknown))}")
    path = str(_state(state_dir).path)
    options = start.Options(state_dir=path, parts=tuple(parts), port=port, name=name, began=BEGAN)
    start.foreground(options, show.progress)


def status(*, state_dir: Path | None, json: bool) -> None:
    """Is the cloud up, where, and how are its parts?"""
    state = _state(state_dir)
    ready = state.ready() if state.pid() else None
    if ready is None:
        if json:
            sys.stdout.write('{"up": false}\n')
        else:
            show.say("down")
        sys.exit(1)
    inside = _ask(state, "GET", "/tasks")
    if json:
        both = {"up": True, **msgspec.to_builtins(ready), **inside}
        sys.stdout.write(msgspec.json.encode(both).decode() + "\n")
        return
    show.ready(state, ready)
    show.say(f"\n{inside['rss_bytes'] / 2**20:.0f} MiB resident, process {ready.pid}")
    for name, failures in inside["loops"].items():
        if failures:
            show.say(show.red(f"loop {name} failed {failures} times in a row"))


def logs(*, state_dir: Path | None, follow: bool, lines: int) -> None:
    """What the cloud's processes said last."""
    path = _state(state_dir).log_file
    if not path.exists():
        _fail(f"{path} does not exist: the cloud was not started detached")
    with path.open(errors="replace") as file:
        sys.stdout.writelines(collections.deque(file, maxlen=lines))
        while follow:
            line = file.readline()
            if line:
                sys.stdout.write(line)
            else:
                sys.stdout.flush()
                time.sleep(0.2)


def doctor(*, state_dir: Path | None, repair: bool) -> None:
    """Compare rows with what is on the hosts."""
    found = _ask(_state(state_dir), "POST" if repair else "GET", "/doctor")
    show.findings(found)
    if any(not finding["repaired"] for finding in found):
        sys.exit(1)


def trace(  # noqa: PLR0913 - a flag each
    *,
    dst: str,
    port: str,
    from_external: str,
    src: str,
    protocol: str,
    dst_port: int,
    on_host: str,
    state_dir: Path | None,
) -> None:
    """What happens to a packet, by the flows that the switch has now."""
    body = {"port_id": port, "from_external": from_external, "src": src, "dst": dst,
            "protocol": protocol, "dst_port": dst_port}  # fmt: skip
    name = on_host or host.name()
    show.trace(_ask(_state(state_dir), "POST", f"/hosts/{name}/trace", body))


def metrics(*, state_dir: Path | None) -> None:
    """The running cloud's metrics in Prometheus' text format."""
    sys.stdout.write(_ask(_state(state_dir), "GET", "/metrics"))


def env(*, state_dir: Path | None, user: str) -> None:
    """Shell variables for the openstack client: eval "$(octostack env)"."""
    state = _state(state_dir)
    ready = state.ready() if state.pid() else None
    if ready is None:
        _fail("No cloud is running")
    password = (state.path / "secrets" / f"{user}-password").read_text()
    for key, value in clients.variables(ready.url, password, user).items():
        sys.stdout.write(f"export {key}={value}\n")


def rotate_keys(*, state_dir: Path | None) -> None:
    """Seal new tokens with the next key; those given out stay good. For a job once a day or so."""
    # The command line starts quickly because it loads a service only where one is asked for.
    from octostack.apps import config  # noqa: PLC0415
    from octostack.services.identity.service import rotate_token_keys  # noqa: PLC0415

    state = _state(state_dir)
    if not state.exists():
        _fail(f"{state.path} is no state directory of octostack")
    rotate_token_keys(state.path, config.load(state.path).identity)
    show.say("New tokens are sealed with the next key.")


def ceph(  # noqa: PLR0913 - a flag each
    *,
    action: str,
    directory: Path,
    daemons: list[str],
    mons: int,
    osds: int,
    auth: str,
    port: int,
    osd_gib: float,
    processes: str,
) -> None:
    """Start or stop a storage cluster of its own that Ceph's clients take for Ceph.

    What a cluster is made of is chosen at its first start; later starts find all of it again, and
    start what does not run. `run` keeps the named daemons in this terminal. `fsck` looks through
    the stores of OSDs that do not run, DIRECTORY or DIRECTORY/osd.N; `repair` mends what can be.
    """
    from octostack.apps.ceph import start as cluster  # noqa: PLC0415 - of no use to others
    from octostack.apps.ceph.cluster import Wanted  # noqa: PLC0415 - nor this

    if action == "down":
        stopped = cluster.down(directory, STOP_TIMEOUT_S, daemons)
        show.say("The cluster is down." if stopped else "No cluster was running.")
        return
    if action == "run":
        from octostack.apps.ceph import process  # noqa: PLC0415

        process.foreground(directory, daemons)
        return
    if action in {"fsck", "repair"}:
        _check_stores(directory, daemons, repair=action == "repair")
        return
    wanted = Wanted(mons, osds, auth, port, osd_gib, processes)
    cluster.up(directory, wanted, daemons)
    show.say(f"The cluster is up: ceph -c {directory}/ceph.conf status")


def _check_stores(directory: Path, daemons: list[str], *, repair: bool) -> None:
    from octostack.apps.ceph import checking  # noqa: PLC0415

    well = True
    for finding in checking.check(directory, daemons, repair=repair):
        for line in checking.report(finding):
            show.say(line)
        well &= finding.is_well
    if not well:
        sys.exit(1)


def reset(*, state_dir: Path | None, yes: bool) -> None:
    """Stop the cloud and delete all it has; the settings in octostack.toml are kept."""
    state = _state(state_dir)
    if not state.exists():
        _fail(f"{state.path} is no state directory of octostack: nothing was deleted")
    if not yes and input(f"Delete every server, image and network in {state.path}? [y/N] ") != "y":
        sys.exit(1)
    state.terminate(STOP_TIMEOUT_S)
    _await(host.remove(state.path))
    for entry in state.path.iterdir() if state.path.exists() else ():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.suffix != ".toml":
            entry.unlink()
    show.say("The cloud is as new.")


Argument = tuple[str, dict[str, Any]]


def _flag(name: str, help: str) -> Argument:
    return name, {"action": "store_true", "help": help}


def _option(name: str, help: str, **more: Any) -> Argument:
    return name, {"help": help, **more}


_PORT = _option("--port", "where the APIs listen; 0 takes a free port", type=int)
_STATE_DIR = _option(
    "--state-dir",
    "everything the cloud has; default $OCTOSTACK_STATE_DIR or /var/lib/octostack",
    type=Path,
)

# Each command's function, whose docstring is its help, with its arguments.
COMMANDS: tuple[tuple[Callable[..., None], tuple[Argument, ...]], ...] = (
    (up, (
        _flag("--detach", "return when all is ready, and leave the cloud running"),
        _option("--simulate", "so many simulated hosts instead of this machine: needs neither "
                "root nor QEMU", type=int),
        _option("--port", "where the APIs listen; 0 takes a free port; the last choice is kept",
                type=int),
    )),
    (down, (
        _flag("--keep-guests", "stop the control plane only; guests and their network go on"),
    )),
    (run, (_option("parts", "identity placement image network compute hosts front", nargs="+"),
           _PORT,
           _option("--name", "of this process, where several run the same parts; default the "
                   "machine's", default=""))),
    (status, (_flag("--json", "for programs"),)),
    (logs, (
        _flag("--follow", "go on with what is said from now on"),
        _option("--lines", "so many of the last lines", type=int, default=50),
    )),
    (doctor, (_flag("--repair", "undo the differences found"),)),
    (trace, (
        _option("--dst", "where the packet goes", required=True),
        _option("--port", "the id of the port that sends it", default=""),
        _option("--from-external", "or the physical network it comes from", default=""),
        _option("--src", "where it says it comes from", default=""),
        _option("--protocol", "icmp, tcp or udp", default="icmp"),
        _option("--dst-port", "of tcp or udp", type=int, default=0),
        _option("--on-host", "whose switch; default this machine's", default=""),
    )),
    (metrics, ()),
    (env, (_option("--user", "admin or demo", default="admin"),)),
    (rotate_keys, ()),
    (reset, (_flag("--yes", "do not ask"),)),
    (ceph, (
        _option("action", "up, down, run, fsck or repair",
                choices=("up", "down", "run", "fsck", "repair")),
        _option("directory", "everything the cluster has", type=Path),
        _option("daemons", "mon.a, osd.0, ...: these only, where each has its process",
                nargs="*"),
        _option("--mons", "so many monitors", type=int, default=1),
        _option("--osds", "so many OSDs", type=int, default=3),
        _option("--auth", "cephx: keys; none: who says a name is believed",
                choices=("cephx", "none"), default="cephx"),
        _option("--port", "of the first monitor; 0 takes a free port", type=int, default=0),
        _option("--osd-gib", "size of each OSD's disk, a file that grows; 0 keeps all in memory",
                type=float, default=16.0),
        _option("--processes", "one for all daemons, or each its own",
                choices=("one", "each"), default="each"),
    )),
)  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="octostack",
        description="A whole private cloud: OpenStack's APIs over our own engines.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=octostack.__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for function, arguments in COMMANDS:
        text = function.__doc__ or ""
        command = commands.add_parser(
            function.__name__.replace("_", "-"),
            help=text.partition("\n")[0],
            description=text,
            allow_abbrev=False,
        )
        command.set_defaults(function=function)
        more = () if function is ceph else (_STATE_DIR,)
        for name, options in (*arguments, *more):
            command.add_argument(name, **options)
    return parser


def main() -> None:
    """The entry point; an error of ours is one line, not a trace."""
    given = vars(_parser().parse_args(sys.argv[1:] or ["--help"]))
    try:
        given.pop("function")(**given)
    except OctoError as e:
        _fail(e.message)
    except PermissionError as e:
        _fail(f"{e.filename}: {e.strerror}")
    except KeyboardInterrupt:
        sys.exit(130)


def _state(path: Path | None) -> StateDir:
    return StateDir(path or StateDir.default())


def _ask(state: StateDir, method: str, path: str, body: Any = None) -> Any:
    """One question to the running cloud."""
    from octostack.apps import asking  # noqa: PLC0415 - an HTTP client, which `up` has no use for

    return _await(asking.ask(state, method, path, body))


def _await(work: Coroutine[Any, Any, Any]) -> Any:
    import asyncio  # noqa: PLC0415 - for the same reason

    return asyncio.run(work)


def _refuse_if_missing(missing: list[str]) -> None:
    if missing:
        raise Conflict(
            "This machine cannot run real guests yet:\n"
            + "\n".join(f"  - {line}" for line in missing)
            + "\nOr start with simulated hosts: octostack up --simulate 3"
        )


def _fail(text: str) -> NoReturn:
    sys.stderr.write(f"{show.red('octostack:', sys.stderr)} {text}\n")
    sys.exit(1)


if __name__ == "__main__":
    main()
