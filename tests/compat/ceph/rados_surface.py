# SPDX-License-Identifier: Apache-2.0
"""Every sub-command of the `rados` tool, one after the other: CONF, then a JSON list of what each
came to: its words, exit status, output and errors, without what differs from run to run.

Run against our cluster and against a real one, the outcomes must be the same. The pools `tool`,
`tool2` and `tool3` must be there, new, with applications.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

BIG = bytes(range(256)) * 20_000  # more than one operation
_MASKS = (
    (r"\d{4}-\d\d-\d\dT?[ ]?\d\d:\d\d:\d\d[.0-9+]*", "TIME"),
    (r"\d{4}\.\d\d\.\d\d \d\d:\d\d:\d\d", "TIME"),
    (r"client\.\d+", "CLIENT"),
    (r"127\.0\.0\.1:\d+/\d+", "ADDRESS"),
    (r"cookie=\d+|cookie \d+", "COOKIE"),
    (r"\b[0-9a-f]{12} -1 ", "THREAD "),
    (r"_pid\d+_|benchmark_data_\S+", "BENCH"),
    (r"/\S*/(in|out|dump)\b", r"\1"),
    (r"epoch \d+", "EPOCH"),
)
_LINES_LEFT_OUT = re.compile(r"handle_auth|monclient|NOTE: |Elapsed|seconds$")


def list_steps(directory: Path) -> Iterator[tuple[list[str], bytes]]:
    """Words for `rados -p tool`, and what it is given to read."""
    (directory / "in").write_bytes(b"from a file")
    source, target, dump = (str(directory / name) for name in ("in", "out", "dump"))
    text = f"""
        put o {source}
        put o - --offset 20
        get o {target}
        get o -
        get nothing -
        append o {source}
        truncate o 15
        truncate nothing 15
        truncate o nonsense
        stat o
        stat nothing
        stat2 o
        touch o 1500000000
        stat o
        touch touched
        create made
        create made
        mapext o
        cp o copied
        cp o copied2 --target-pool tool2
        cp o copied --target-nspace apart
        cp nothing copied
        get copied -
        ls
        ls --all
        -N apart ls
        --default ls
        --pgid 99.0 ls
        setxattr o colour red
        setxattr o shape -
        getxattr o colour
        getxattr o nothing
        getxattr nothing colour
        listxattr o
        listxattr nothing
        rmxattr o colour
        rmxattr o colour
        setomapval m key value
        setomapval m binary -
        setomapval m file --input-file {source}
        listomapkeys m
        listomapvals m
        getomapval m key
        getomapval m key {target}
        getomapval m nothing
        rmomapkey m key
        rmomapkey m key
        setomapheader m head
        getomapheader m
        getomapheader m {target}
        clearomap m made
        clearomap nothing
        listomapkeys m
        listomapkeys nothing
        set-alloc-hint o 4194304 65536
        set-alloc-hint o 4194304 65536 3
        listwatchers o
        listwatchers nothing
        notify o hello
        lock list o
        lock get o one --lock-cookie c --lock-description why --lock-type exclusive
        lock get o one --lock-cookie d
        lock get o two --lock-type shared --lock-tag t --lock-duration 60
        lock get o three --lock-type nonsense
        lock list o
        lock info o one
        lock info o nothing
        lock break o one client.1 --lock-cookie c
        mksnap first
        mksnap first
        put o -
        -s first get o -
        listsnaps o
        lssnap
        rollback o first
        rollback o nothing
        get o -
        rmsnap first
        rmsnap first
        lssnap
        list-inconsistent-pg tool
        set-redirect o --target-pool tool2 copied2
        set-chunk o 0 4 --target-pool tool2 copied2 0
        unset-manifest o
        tier-promote o
        tier-flush o
        tier-evict o
        cache-flush o
        cache-try-flush o
        cache-evict o
        cache-flush-evict-all
        put big -
        stat big
        -b 65536 put big -
        -b 100000 get big -
        --striper put striped -
        --striper stat striped
        --striper get striped -
        --striper truncate striped 1000
        --striper ls
        --striper rm striped
        export {dump}
        import --dry-run {dump}
        --object-locator key put located -
        --object-locator key get located -
        get located -
        rm o copied
        rm o
        rm nothing --force-full
        bench 1 write -b 4096 -t 4 --max-objects 20 --no-cleanup --run-name one
        bench 1 seq -t 4 --run-name one
        bench 1 rand -t 4 --run-name one
        bench 1 seq --run-name two
        cleanup --run-name one
        bench 1 write -b 4096 --write-object --write-omap --write-xattr --max-objects 9 --run-name 3
        cleanup --prefix benchmark_data
        load-gen --num-objects 5 --min-object-size 1 --max-object-size 9 --run-length 1
        purge tool
        purge tool2 --yes-i-really-really-mean-it
        cppool tool tool3
        cppool tool nothing
        ls
        rmpool tool
        mkpool tool
        chown 1
        nonsense
        stat
        put
    """
    for line in text.split("\n"):
        words = line.split()
        if words:
            yield words, BIG if "big" in words else b"given" * 3


def mask(text: str) -> str:
    """Without what differs from run to run."""
    text = text.partition("*** Caught signal")[0]  # `rados --striper` dies at its end at times
    for pattern, word in _MASKS:
        text = re.sub(pattern, word, text)
    lines = (line for line in text.splitlines() if not _LINES_LEFT_OUT.search(line))
    return "\n".join(lines)[:300]


def run(conf: str, words: list[str], data: bytes, directory: Path) -> dict[str, object]:
    """One command's outcome."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        ["/usr/bin/rados", "-c", conf, "-p", "tool", *words],
        input=data,
        capture_output=True,
        env={**environment, "TZ": "UTC"},
        cwd=directory,
        timeout=60,
        check=False,
    )
    out = done.stdout.decode("latin-1")
    if words[0] in ("bench", "load-gen"):
        out = "" if done.returncode else "ran"
    elif "ls" in words:
        out = "\n".join(sorted(out.splitlines()))
    elif len(out) > 2000:
        out = f"{len(out)} bytes"  # of a body
    said = [word.replace(str(directory), "") for word in words]
    errors = mask(done.stderr.decode("latin-1"))
    return {"words": " ".join(said), "status": done.returncode, "out": mask(out), "errors": errors}


def main(conf: str) -> None:
    """Print all outcomes."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        found = [run(conf, words, data, directory) for words, data in list_steps(directory)]
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(sys.argv[1])
