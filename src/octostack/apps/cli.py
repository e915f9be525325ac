# SPDX-License-Identifier: Apache-2.0
"""The `octostack` command."""

import asyncio
import collections
import shutil
import sys
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

import cyclopts
import msgspec
from cyclopts import Parameter

import octostack
from octostack.apps import clients, host, show, start
from octostack.apps.state import StateDir
from octostack.base.errors import Conflict, OctoError

app = cyclopts.App(
    name="octostack",
    help="A whole private cloud: OpenStack's APIs over our own engines.",
    version=octostack.__version__,
)

STOP_TIMEOUT_S = 30.0

Where = Annotated[
    Path | None,
    Parameter(
        name="--state-dir",
        help="Everything the cloud has; default $OCTOSTACK_STATE_DIR or /var/lib/octostack.",
    ),
]


@app.command
def up(
    *,
    state_dir: Where = None,
    detach: bool = False,
    simulate: int | None = None,
    port: int | None = None,
) -> None:
    """Start the cloud.

    Parameters
    ----------
    detach
        Return when all is ready, and leave the cloud running.
    simulate
        So many simulated hosts instead of this machine: needs neither root nor QEMU.
    port
        Where the APIs listen; 0 takes a free port. The last choice is kept.
    """
    state = _state(state_dir)
    wanted = simulate if simulate is not None else state.remembered().simulate
    if not wanted:
        _refuse_if_missing(host.missing())
    options = start.Options(state_dir=str(state.path), simulate=simulate, port=port)
    show.out.print(f"Starting the cloud in {state.path}")
    if detach:
        show.ready(state, start.detached(options, show.progress))
        return

    def listener(line: dict[str, Any]) -> None:
        show.progress(line)
        ready = state.ready() if "ready" in line else None
        if ready is not None:
            show.ready(state, ready)
            show.out.print("\nCtrl-C stops it.")

    start.foreground(options, listener)


@app.command
def down(*, state_dir: Where = None, keep_guests: bool = False) -> None:
    """Stop the cloud; no process of it is left, all data is kept.

    Parameters
    ----------
    keep_guests
        Stop the control plane only; guests and their network go on.
    """
    state = _state(state_dir)
    stopped = state.terminate(STOP_TIMEOUT_S)
    if not keep_guests:
        asyncio.run(host.stop(state.path))
    show.out.print("The cloud is down." if stopped else "No cloud was running.")


@app.command
def run(part: str, *parts: str, state_dir: Where = None, port: int | None = None) -> None:
    """Run some parts in this process: identity placement image network compute hosts.

    Their configuration names the bus and the endpoints that bring the parts together.
    """
    names = (part, *parts)
    unknown = set(names) - host.PARTS
    if unknown:
        _fail(f"No such part: {', '.join(sorted(unknown))}")
    options = start.Options(state_dir=str(_state(state_dir).path), parts=names, port=port)
    start.foreground(options, show.progress)


@app.command
def status(*, state_dir: Where = None, json: bool = False) -> None:
    """Is the cloud up, where, and how are its parts?"""
    state = _state(state_dir)
    ready = state.ready() if state.pid() else None
    if ready is None:
        if json:
            sys.stdout.write('{"up": false}\n')
        else:
            show.out.print("down")
        sys.exit(1)
    inside = _ask(state, "GET", "/tasks")
    if json:
        both = {"up": True, **msgspec.to_builtins(ready), **inside}
        sys.stdout.write(msgspec.json.encode(both).decode() + "\n")
        return
    show.ready(state, ready)
    show.out.print(f"\n{inside['rss_bytes'] / 2**20:.0f} MiB resident, process {ready.pid}")
    for name, failures in inside["loops"].items():
        if failures:
            show.out.print(f"[red]loop {name} failed {failures} times in a row[/red]")


@app.command
def logs(*, state_dir: Where = None, follow: bool = False, lines: int = 50) -> None:
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


@app.command
def doctor(*, state_dir: Where = None, repair: bool = False) -> None:
    """Compare rows with what is on the hosts.

    Parameters
    ----------
    repair
        Undo the differences found.
    """
    found = _ask(_state(state_dir), "POST" if repair else "GET", "/doctor")
    show.findings(found)
    if any(not finding["repaired"] for finding in found):
        sys.exit(1)


@app.command
def trace(  # noqa: PLR0913 - a flag each
    *,
    dst: str,
    port: str = "",
    from_external: str = "",
    src: str = "",
    protocol: str = "icmp",
    dst_port: int = 0,
    on_host: str = "",
    state_dir: Where = None,
) -> None:
    """What happens to a packet, by the flows that the switch has now.

    Parameters
    ----------
    port
        The id of the port that sends it; or give --from-external a physical network.
    """
    body = {"port_id": port, "from_external": from_external, "src": src, "dst": dst,
            "protocol": protocol, "dst_port": dst_port}  # fmt: skip
    name = on_host or host.name()
    show.trace(_ask(_state(state_dir), "POST", f"/hosts/{name}/trace", body))


@app.command
def metrics(*, state_dir: Where = None) -> None:
    """The running cloud's metrics in Prometheus' text format."""
    sys.stdout.write(_ask(_state(state_dir), "GET", "/metrics"))


@app.command
def env(*, state_dir: Where = None, user: str = "admin") -> None:
    """Shell variables for the openstack client: eval "$(octostack env)"."""
    state = _state(state_dir)
    ready = state.ready() if state.pid() else None
    if ready is None:
        _fail("No cloud is running")
    password = (state.path / "secrets" / f"{user}-password").read_text()
    for key, value in clients.variables(ready.url, password, user).items():
        sys.stdout.write(f"export {key}={value}\n")


@app.command
def rotate_keys(*, state_dir: Where = None) -> None:
    """Seal new tokens with the next key; those given out stay good. For a job once a day or so."""
    # The command line starts quickly because it loads a service only where one is asked for.
    from octostack.apps import config  # noqa: PLC0415
    from octostack.services.identity.service import rotate_token_keys  # noqa: PLC0415

    state = _state(state_dir)
    if not state.exists():
        _fail(f"{state.path} is no state directory of octostack")
    rotate_token_keys(state.path, config.load(state.path).identity)
    show.out.print("New tokens are sealed with the next key.")


@app.command
def reset(*, state_dir: Where = None, yes: bool = False) -> None:
    """Stop the cloud and delete all it has; the settings in octostack.toml are kept.

    Parameters
    ----------
    yes
        Do not ask.
    """
    state = _state(state_dir)
    if not state.exists():
        _fail(f"{state.path} is no state directory of octostack: nothing was deleted")
    if not yes and input(f"Delete every server, image and network in {state.path}? [y/N] ") != "y":
        sys.exit(1)
    state.terminate(STOP_TIMEOUT_S)
    asyncio.run(host.remove(state.path))
    for entry in state.path.iterdir() if state.path.exists() else ():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.suffix != ".toml":
            entry.unlink()
    show.out.print("The cloud is as new.")


def main() -> None:
    """The entry point; an error of ours is one line, not a trace."""
    try:
        app()
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
    from octostack.apps import control  # noqa: PLC0415 - half a second that `up` need not wait

    return asyncio.run(control.ask(state, method, path, body))


def _refuse_if_missing(missing: list[str]) -> None:
    if missing:
        raise Conflict(
            "This machine cannot run real guests yet:\n"
            + "\n".join(f"  - {line}" for line in missing)
            + "\nOr start with simulated hosts: octostack up --simulate 3"
        )


def _fail(text: str) -> NoReturn:
    show.err.print(f"[red]octostack:[/red] {text}", soft_wrap=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
