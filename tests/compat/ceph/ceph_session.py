#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a list of commands through the code of the unmodified `ceph` program, over one connection.

    ceph_session.py CONF LIST  ->  a line of JSON for each command
    ceph_session.py CONF       ->  a line of JSON for each line of JSON that comes: {"words", "mon"}

It loads `/usr/bin/ceph` and calls what that calls for each command line, so that a thousand
commands do not need a thousand starts. It runs under Debian's own Python, which has `rados`.

A line of LIST is a command, with `--format json` meant. Before it may stand `plain:` (for people),
or `bytes:` (the output is kept, and given to the next command that ends with `<bytes`); `<<< TEXT`
at its end is its input. Other lines: `write POOL OBJECT BYTES`; `wait CODE` and `wait not CODE`
(of a health check); `wait clean`. {pg} is a group of the pool `lab`. `quiet:` before a command: it
is run, and not compared.

Questions that come as JSON are each asked by a new client, as by the program itself, of all
monitors or of one; the same question again is asked a little later, as somebody waits then.
"""

import importlib.machinery
import importlib.util
import json
import pathlib
import shlex
import sys
import time

import rados

TIMEOUT_S = 30
AGAIN_S = 0.1


def load_program():
    loader = importlib.machinery.SourceFileLoader("ceph_program", "/usr/bin/ceph")
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader("ceph_program", loader)
    )
    argv, sys.argv = sys.argv, ["ceph"]
    loader.exec_module(module)
    sys.argv = argv
    return module


class Session:
    def __init__(self, conf, op_timeout_s=10):
        self.ceph = load_program()
        self.ceph.verbose = False
        self.conf = conf
        self.op_timeout_s = op_timeout_s
        self.signatures = {}
        self.bytes = b""

    def connect(self, mon=""):
        """Anew, to all monitors or to one."""
        self.cluster = self.ceph.cluster_handle = rados.Rados(conffile=self.conf)
        for option in ("rados_mon_op_timeout", "rados_osd_op_timeout"):
            self.cluster.conf_set(option, str(self.op_timeout_s))
        if mon:
            self.cluster.conf_set("mon_host", mon)
        self.cluster.connect(timeout=TIMEOUT_S)

    def run(self, words, style, data):
        """What `main` of the program does for one command line."""
        arguments = ["-f", style] if style != "plain" else []
        _, parsed, words = self.ceph.parse_cmdargs([*arguments, *words])
        if parsed.status:
            words.insert(0, "status")
        try:
            target = self.ceph.find_cmd_target(words)
        except Exception as error:  # as the program itself does
            return 1, b"", f"error handling command target: {error}"
        if words[0] == "tell":
            words = words[2:]
        target = tuple(target)
        if target not in self.signatures:
            result, out, status = self.ceph.json_command(
                self.cluster, target=target, prefix="get_command_descriptions"
            )
            if result:
                return abs(result), b"", f"problem getting command descriptions: {status}"
            self.signatures[target] = self.ceph.parse_json_funcsigs(out.decode(), "cli")
        # of those that begin with the same word, so that the others need not be tried
        alike = {
            name: known
            for name, known in self.signatures[target].items()
            if str(known["sig"][0]) == words[0]
        }
        result, out, status = self.ceph.new_style_command(parsed, words, target, alike, data, False)
        return abs(result), out or b"", status

    def words_of(self, line):
        if "{pg}" in line:
            line = line.replace("{pg}", f"{self.cluster.pool_lookup('lab')}.0")
        return shlex.split(line)

    def do(self, line):
        """One line of the list; what is to be said of it, or None."""
        verb, _, rest = line.partition(" ")
        if verb == "write":
            pool, name, size = rest.split()
            with self.cluster.open_ioctx(pool) as ioctx:
                ioctx.write_full(name, b"x" * int(size))
                with rados.WriteOpCtx() as op:
                    ioctx.set_omap(op, ("key",), (b"value",))
                    ioctx.operate_write_op(op, name)
            return None
        if verb == "wait":
            self.wait(rest)
            return None
        if line.startswith("quiet:"):
            self.run(self.words_of(line[len("quiet:") :].strip()), "plain", b"")
            return None
        style, data = "json", b""
        for mark in ("plain", "bytes"):
            if line.startswith(f"{mark}:"):
                style, line = mark, line[len(mark) + 1 :].strip()
        name = line
        if line.endswith(" <bytes"):
            line, data = line[: -len(" <bytes")], self.bytes
        elif " <<< " in line:
            line, _, text = line.partition(" <<< ")
            data = text.encode().decode("unicode_escape").encode()
        result, out, status = self.run(
            self.words_of(line), "plain" if style == "bytes" else style, data
        )
        if style == "bytes":
            self.bytes, out = out, str(bool(out)).encode()
        text = out.decode("utf-8", "replace")
        answer = {"command": name, "style": style, "result": result}
        return answer | {"status": status, "output": text}

    def health(self):
        _, out, _ = self.run(["health", "detail"], "json", b"")
        return set(json.loads(out)["checks"])

    def is_clean(self):
        _, out, _ = self.run(["pg", "stat"], "json", b"")
        states = json.loads(out)["pg_summary"]["num_pg_by_state"]
        return [state["name"] for state in states] == ["active+clean"]

    def wait(self, text):
        negated = text.startswith("not ")
        code = text[4:] if negated else text
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            if self.is_clean() if code == "clean" else (code in self.health()) != negated:
                return
            time.sleep(0.2)
        print(f"waited in vain: {text}", file=sys.stderr)


def serve(conf):
    """Answer what comes, until nothing comes any more."""
    session, before = Session(conf, 60), ""
    for line in sys.stdin:
        if line == before:
            time.sleep(AGAIN_S)
        before, asked = line, json.loads(line)
        try:
            session.connect(asked["mon"])
            result, out, status = session.run(asked["words"], "json", b"")
        except rados.Error as error:
            result, out, status = abs(error.errno or 1), b"", str(error)
        session.cluster.shutdown()
        answer = {"result": result, "status": status, "output": out.decode()}
        print(json.dumps(answer), flush=True)


def main():
    conf, *paths = sys.argv[1:]
    if not paths:
        serve(conf)
        return
    session = Session(conf)
    session.connect()
    with pathlib.Path(paths[0]).open() as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                answer = session.do(line.strip())
                if answer is not None:
                    print(json.dumps(answer), flush=True)
    session.cluster.shutdown()


if __name__ == "__main__":
    main()
