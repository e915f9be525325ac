# SPDX-License-Identifier: Apache-2.0
"""Runs the unmodified tempest against a cloud of simulated hosts, and compares with the list.

The list, tests/compat/tempest/expected.txt, names each test that fails or is skipped, with its
reason: `fail NAME  # why`. Anything else that fails, and anything listed that passes, is an error.
"""

import argparse
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from octostack.wire.diskformats import overlay

ROOT = Path(__file__).parents[1]
CLIENTS = ROOT / ".venv-clients" / "bin"
TEMPEST = ROOT / "tests" / "compat" / "tempest"
EXPECTED = TEMPEST / "expected.txt"
APIS = r"tempest\.api\.(identity|image|compute|network)\."
SCENARIOS = r"(?=.*\bsmoke\b)tempest\.scenario\."
FULL = f"^({APIS}|{SCENARIOS})"
SMOKE = f"^((?=.*\\bsmoke\\b){APIS}|{SCENARIOS})"
UNTRIAGED = "reason not found yet"


class Outcome(NamedTuple):
    """How one test ended; `reason` is the skip's own, or the last line of the trace."""

    test: str
    status: str
    reason: str
    trace: str
    seconds: float


def _environment(state_dir: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OS_", "PYTHON"))}
    return {
        **kept,
        "OS_CLIENT_CONFIG_FILE": str(state_dir / "clouds.yaml"),
        "PATH": f"{CLIENTS}:{os.environ['PATH']}",
        "NO_PROXY": "*",
        "no_proxy": "*",
    }


def _octostack(*arguments: str) -> None:
    subprocess.run(
        [str(Path(sys.executable).with_name("octostack")), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        check=True,
    )


# What some tests ask of a cloud's configuration; of a cloud that has it not, `web_image` is "".
CONFIGURATION = """\
[identity.passwords]
lockout_attempts = 5
lockout_s = 5.0
unique_last_count = 2

[image.web_download]
ports = [{port}]
private_addresses = true
"""


class _Images(http.server.BaseHTTPRequestHandler):
    """One empty disk, whatever is asked for."""

    def do_GET(self) -> None:
        data = overlay.make(1 << 20)
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def own_cloud(state_dir: Path) -> Iterator[str]:
    """A new cloud, configured for the tests; where an image can be downloaded from."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Images) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        port = web.server_address[1]
        state_dir.mkdir(parents=True)
        (state_dir / "octostack.toml").write_text(CONFIGURATION.format(port=port))
        options = ("--detach", "--simulate", "3", "--port", "0", "--state-dir", str(state_dir))
        _octostack("up", *options)
        try:
            yield f"http://127.0.0.1:{port}/disk.qcow2"
        finally:
            _octostack("down", "--state-dir", str(state_dir))
            web.shutdown()


def run(
    state_dir: Path, regex: str, workers: int, directory: Path, web_image: str = ""
) -> list[Outcome]:
    """Run the tests whose names match `regex` on the cloud at `state_dir`."""
    environment = _environment(state_dir)
    python = str(CLIENTS / "python")
    # A list of workspaces of its own: the one in the home directory refuses a name it has seen.
    workspaces = f"--workspace-path={directory / 'workspaces.yaml'}"
    subprocess.run(
        [str(CLIENTS / "tempest"), "init", workspaces, str(directory)],
        env=environment,
        check=True,
        capture_output=True,
    )
    subprocess.run(
        [python, str(TEMPEST / "prepare.py"), str(directory), web_image],
        env=environment,
        check=True,
    )
    with (directory / "results.subunit").open("wb") as stream:
        subprocess.run(
            [str(CLIENTS / "stestr"), "run", "--subunit", f"--concurrency={workers}", regex],
            cwd=directory,
            env=environment,
            stdout=stream,
            check=False,  # it is non-zero when a test fails, and some are listed to fail
        )
    with (directory / "results.subunit").open("rb") as stream:
        lines = subprocess.run(
            [python, str(TEMPEST / "results.py")], stdin=stream, check=True, capture_output=True
        ).stdout.splitlines()
    return [_outcome(json.loads(line)) for line in lines]


def _outcome(raw: dict[str, str]) -> Outcome:
    last = raw["trace"].strip().split("\n")[-1]
    status = {"success": "pass", "skip": "skip"}.get(raw["status"], "fail")
    reason = raw["reason"] or last
    return Outcome(raw["test"], status, reason, raw["trace"], float(raw["seconds"]))


def read_expected() -> dict[str, tuple[str, str]]:
    """The list: test name -> ("fail" or "skip", reason)."""
    found = {}
    for line in EXPECTED.read_text().splitlines():
        match = re.match(r"(fail|skip) (.+?)  # (.+)$", line)
        if match:
            found[match[2]] = (match[1], match[3])
    return found


def compare(outcomes: list[Outcome]) -> list[str]:
    """What differs from the list, a line each; empty when all is as expected."""
    expected = read_expected()
    differences = [
        f"{o.status}, expected {expected.get(o.test, ('pass', ''))[0]}: {o.test}  # {o.reason}"
        for o in outcomes
        if o.status != expected.get(o.test, ("pass", ""))[0]
    ]
    return sorted(differences)


def rewrite(outcomes: list[Outcome], *, whole: bool) -> None:
    """Write the list anew for what was run (`whole`: all there is); known reasons are kept."""
    known = read_expected()
    head = [line for line in EXPECTED.read_text().splitlines() if line.startswith("#")]
    ran = {o.test for o in outcomes}
    entries = {test: entry for test, entry in known.items() if not whole and test not in ran}
    for o in outcomes:
        if o.status == "skip":
            entries[o.test] = ("skip", o.reason)
        elif o.status == "fail":
            status, reason = known.get(o.test, ("", ""))
            entries[o.test] = ("fail", reason if status == "fail" else UNTRIAGED)
    lines = [f"{status} {test}  # {reason}" for test, (status, reason) in sorted(entries.items())]
    EXPECTED.write_text("\n".join([*head, *lines]) + "\n")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("regex", nargs="?", default=FULL, help="which tests")
    parser.add_argument("--smoke", action="store_true", help="the smoke set instead of a regex")
    parser.add_argument("--state-dir", type=Path, help="a running cloud instead of a new one")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--rewrite", action="store_true", help="write the list anew")
    parser.add_argument("--keep", action="store_true", help="keep tempest's directory")
    return parser.parse_args()


def _report(outcomes: list[Outcome], options: argparse.Namespace, directory: Path) -> int:
    counts = {s: sum(o.status == s for o in outcomes) for s in ("pass", "fail", "skip")}
    print(", ".join(f"{count} {status}" for status, count in counts.items()))
    if options.keep:
        (directory / "failures.txt").write_text(
            "\n".join(f"=== {o.test}\n{o.trace}" for o in outcomes if o.status == "fail")
        )
        print(f"kept: {directory}")
    else:
        shutil.rmtree(directory)
    if options.rewrite:
        rewrite(outcomes, whole=options.regex == FULL and not options.smoke)
    differences = compare(outcomes)
    print("\n".join(differences))
    return 1 if differences or not outcomes else 0


def main() -> int:
    """Start a cloud unless one is given, run, compare, report."""
    options = _parse()
    regex = SMOKE if options.smoke else options.regex
    directory = Path(tempfile.mkdtemp(prefix="octo-tempest-"))
    tests = directory / "tempest"  # of its own: "tempest init" wants it empty
    tests.mkdir()
    if options.state_dir:
        outcomes = run(options.state_dir, regex, options.workers, tests)
    else:
        with own_cloud(directory / "state") as web_image:
            outcomes = run(directory / "state", regex, options.workers, tests, web_image)
    return _report(outcomes, options, directory)


if __name__ == "__main__":
    sys.exit(main())
