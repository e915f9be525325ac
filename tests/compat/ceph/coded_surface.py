#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Profiles of erasure codes, the settings of coded pools, and what objects in them take: CONF, then
a JSON object with what each step came to. On our cluster and on a real one, three OSDs each, it
must be the same. It runs under Debian's own Python, which has `rados`.
"""

import errno
import json
import re
import sys

import rados
from ceph_session import Session

STRIPE = 8192  # of two units
PROFILES = """
    k=2 m=1 crush-failure-domain=osd
    plugin=isa k=2 m=1 crush-failure-domain=osd
    plugin=isa technique=cauchy k=3 m=1 crush-failure-domain=osd
    k=2 m=2 technique=reed_sol_r6_op crush-failure-domain=osd
    k=2 m=1 technique=reed_sol_r6_op
    k=2 m=2 w=9 technique=reed_sol_r6_op
    k=1 m=1
    k=2 m=0
    plugin=nope
    technique=nope
    technique=
    plugin=isa technique=nope
    w=9 k=2 m=1
    w=16 k=2 m=1
    k=2 m=1 packetsize=2048 technique=cauchy_good
    k=x
    k= m=
    k=2 m=1x
    k=250 m=10
    k=2 m=1 stripe_unit=8192
    k=2 m=1 stripe_unit=8K
    k=2 m=1 stripe_unit=8Ki
    k=2 m=1 stripe_unit=8k
    k=2 m=1 stripe_unit=many
    k=2 m=1 stripe_unit=1KiB
    k=2 m=1 stripe_unit=
    k=2 m=1 stripe_unit=100
    k=2 m=1 stripe_unit=64
    k=2 m=1 stripe_unit=64 --force
    plugin=isa k=2 m=1 stripe_unit=100
    k=2 m=1 crush-root=nope
    k=2 m=1 crush-device-class=hdd crush-failure-domain=osd
    k=2 m=1 crush-root= crush-failure-domain=
    novalue
    k=2 m=1 other=thing
    ruleset-root=x
    ruleset-failure-domain=osd k=2
    plugin=isa
    plugin=isa k=33 m=3
    plugin=isa k=8 m=5
    plugin=isa k=22 m=4
    plugin=isa k=22 m=4 technique=cauchy
    plugin=isa k=2 m=1 w=16
"""
AGAIN = """
    k=3 m=1
    k=2 m=1 crush-failure-domain=osd
    k=2 m=1 crush-failure-domain=osd w=8
    k=3 m=1 crush-failure-domain=osd --force
    k=2 m=1 crush-failure-domain=osd --force
"""
POOLS = """
    osd pool create coded 1 1 erasure one
    osd pool create large 1 1 erasure large
    osd pool create isa 1 1 erasure isa
    osd pool create nowhere 1 1 erasure nowhere
    osd pool create unknown 1 1 erasure unknown
    osd pool create usual 1 1 erasure
    osd pool create copies 1 1
    osd crush rule ls
    osd erasure-code-profile rm one
    osd erasure-code-profile rm unknown
    osd erasure-code-profile get unknown
    osd pool get coded all
    osd pool get copies all
    osd pool get coded erasure_code_profile
    osd pool get coded allow_ec_overwrites
    osd pool get copies erasure_code_profile
    osd pool get copies allow_ec_overwrites
    osd pool set copies allow_ec_overwrites true
    osd pool set coded allow_ec_overwrites false
    osd pool set coded allow_ec_overwrites maybe
    osd pool set coded size 4
    osd pool set coded size x
    osd pool set coded min_size 1
    osd pool set coded min_size 4
    osd pool set coded min_size x
    osd pool set coded min_size 3
    osd pool get coded min_size
    osd pool set coded min_size 2
    osd pool set copies min_size 0
    osd pool set copies min_size 4
    osd pool set copies size 11
    osd pool set copies size 0
    config set mon osd_pool_erasure_code_stripe_unit 16384
    osd pool create wide 1 1 erasure one
    osd pool create still-large 1 1 erasure large
    config set mon osd_pool_erasure_code_stripe_unit 100
    osd pool create odd 1 1 erasure one
    config rm mon osd_pool_erasure_code_stripe_unit
"""
SHOWN = ("pool_name", "type", "size", "min_size", "flags_names", "stripe_width")


class Surface:
    def __init__(self, conf):
        self.session = Session(conf, op_timeout_s=60)
        self.session.connect()

    def order(self, line):
        """One command's outcome; numbers of pools differ from run to run."""
        result, out, status = self.session.run(line.split(), "plain", b"")
        status = re.sub(r"pool \d+ ", "pool N ", status)
        return {"command": line, "result": result, "status": status, "output": out.decode()}

    def profiles(self):
        found = []
        for number, words in enumerate(lines(PROFILES)):
            found.append(self.profile(f"p{number}", words))
        return found + [self.profile("p0", words) for words in lines(AGAIN)]

    def profile(self, name, words):
        """What became of it: the answer, and what the profile says then."""
        command = f"osd erasure-code-profile set {name} {words}"
        result, _, status = self.session.run(command.split(), "plain", b"")
        _, out, _ = self.session.run(["osd", "erasure-code-profile", "get", name], "json", b"")
        kept = json.loads(out) if out else None
        return {"words": words, "result": result, "status": status, "kept": kept}

    def pools(self):
        for name, words in (
            ("one", "k=2 m=1 crush-failure-domain=osd"),
            ("large", "k=2 m=1 stripe_unit=8192 crush-failure-domain=osd"),
            ("isa", "plugin=isa k=2 m=1 crush-failure-domain=osd"),
            ("nowhere", "k=2 m=1 crush-root=nope"),
        ):
            self.order(f"osd erasure-code-profile set {name} {words}")
        self.order("config set global osd_pool_default_min_size 1")
        found = [self.order(line) for line in lines(POOLS)]
        _, out, _ = self.session.run(["osd", "pool", "ls", "detail"], "json", b"")
        named = {word for line in lines(POOLS) for word in line.split()[3:4]}
        pools = [pool for pool in json.loads(out) if pool["pool_name"] in named]
        for pool in pools:
            pool["flags_names"] = pool["flags_names"].replace(",creating", "")
        return found, [{key: pool[key] for key in SHOWN} for pool in pools]

    def objects(self):
        """What objects take, before overwrites are allowed, and then."""
        with self.session.cluster.open_ioctx("coded") as ioctx:
            before = [*object_steps(ioctx), *zero_steps(ioctx)]
            for name in ("o", "full", "new", "long"):
                ioctx.remove_object(name)
            self.order("osd pool set coded allow_ec_overwrites true")
            self.session.cluster.wait_for_latest_osdmap()
            return before, list(object_steps(ioctx))


def object_steps(ioctx):
    """Steps with what they came to, and the object's size after each."""
    for name, step in (
        ("o", lambda: ioctx.write_full("o", b"x" * 100)),
        ("o", lambda: ioctx.append("o", b"y" * 5)),
        ("o", lambda: ioctx.write("o", b"zz", 3)),
        ("o", lambda: ioctx.write("o", b"zz", 100)),
        ("o", lambda: ioctx.write("o", b"zz", STRIPE)),
        ("o", lambda: ioctx.trunc("o", 50)),
        ("o", lambda: ioctx.trunc("o", 100)),
        ("o", lambda: ioctx.set_xattr("o", "a", b"b")),
        ("full", lambda: ioctx.write_full("full", b"f" * STRIPE)),
        ("full", lambda: ioctx.append("full", b"g" * 5)),
        ("full", lambda: ioctx.append("full", b"g" * 5)),
        ("full", lambda: ioctx.write_full("full", b"f" * STRIPE)),
        ("full", lambda: ioctx.append("full", b"g" * STRIPE)),
        ("full", lambda: ioctx.write("full", b"h" * 7, 2 * STRIPE)),
        ("new", lambda: ioctx.append("new", b"n" * 5)),
        ("new", lambda: ioctx.append("new", b"n" * 5)),
        ("nothing", lambda: ioctx.write("nothing", b"zz", STRIPE)),
        ("nothing", lambda: ioctx.trunc("nothing", 50)),
        ("nothing", lambda: ioctx.trunc("nothing", 0)),
        ("long", lambda: ioctx.write("long", b"l" * 3 * STRIPE, 0)),
        ("long", lambda: ioctx.append("long", b"m" * 2 * STRIPE)),
        ("long", lambda: ioctx.write("long", b"l" * STRIPE, 0)),
    ):
        yield outcome(ioctx, name, step)


def zero_steps(ioctx):
    """Those that write what is alike."""

    def zero(name, offset, length):
        with rados.WriteOpCtx() as write:
            write.zero(offset, length)
            ioctx.operate_write_op(write, name)

    for name, step in (
        ("full", lambda: zero("full", 0, 10)),
        ("full", lambda: zero("full", 5 * STRIPE, 10)),
        ("full", lambda: ioctx.writesame("full", b"ab", 4, 0)),
        ("nothing", lambda: zero("nothing", 0, 10)),
    ):
        yield outcome(ioctx, name, step)


def outcome(ioctx, name, step):
    result = "done"
    try:
        step()
    except rados.Error as error:
        result = errno.errorcode.get(error.errno, str(error.errno))
    return {"object": name, "result": result, "size": size_of(ioctx, name)}


def size_of(ioctx, name):
    try:
        return ioctx.stat(name)[0]
    except rados.ObjectNotFound:
        return None


def lines(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def main(conf):
    surface = Surface(conf)
    profiles, (pools, detail) = surface.profiles(), surface.pools()
    before, after = surface.objects()
    found = {"profiles": profiles, "pools": pools, "detail": detail}
    print(json.dumps(found | {"objects": before, "with overwrites": after}, indent=1))


main(sys.argv[1])
