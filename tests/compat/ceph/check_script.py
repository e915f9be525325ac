# SPDX-License-Identifier: Apache-2.0
"""Writes and reads by librados from several threads until its input ends: CONF POOL CHANGES.

Each thread has objects of its own and knows what was acknowledged. What a read gives is that; at
the end, after so many changes at the least, all is read once more. Says "working" once every
thread has made a change.
"""

import random
import sys
import threading
import time

import rados

THREADS, NAMES = 6, 10
LARGE = 200_000
CHANGES_MIN = -(-int(sys.argv[3]) // THREADS)  # of each thread
stop = threading.Event()
cluster = rados.Rados(conffile=sys.argv[1])
cluster.connect(timeout=10)
io = cluster.open_ioctx(sys.argv[2])


class Work(threading.Thread):
    """One thread with its objects."""

    def __init__(self, number):
        super().__init__()
        self.rng = random.Random(number)
        self.known = {f"t{number}.{n}": None for n in range(NAMES)}
        self.changes = 0
        self.slowest = 0.0
        self.begun = threading.Event()
        self.problem = None

    def run(self):
        try:
            while not stop.is_set() or self.changes < CHANGES_MIN:
                began = time.monotonic()
                self.one(self.rng.choice(list(self.known)))
                self.slowest = max(self.slowest, time.monotonic() - began)
                if self.changes:
                    self.begun.set()
        except Exception as error:
            self.problem = error
        self.begun.set()

    def one(self, name):
        old = self.known[name]
        word = b"<%s %d>" % (name.encode(), self.changes)
        kind = self.rng.randrange(5)
        if kind == 0:
            self.known[name] = word * self.rng.choice((1, 100, LARGE // len(word)))
            io.write_full(name, self.known[name])
        elif kind == 1 and old is not None:
            self.known[name] = None
            io.remove_object(name)
        elif kind == 2 and old is not None and len(old) < LARGE:
            self.known[name] = old + word
            io.append(name, word)
        else:
            self.check(name)
            return
        self.changes += 1

    def check(self, name):
        try:
            seen = io.read(name, 2 * LARGE)
        except rados.ObjectNotFound:
            seen = None
        known = self.known[name]
        assert seen == known, (name, seen and seen[-60:], known and known[-60:])


workers = [Work(number) for number in range(THREADS)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.begun.wait()
print("working", flush=True)
sys.stdin.read()
stop.set()
for worker in workers:
    worker.join()
for worker in workers:
    if worker.problem:
        raise worker.problem
    for name in worker.known:
        worker.check(name)
changes = sum(worker.changes for worker in workers)
print(changes, "changes; slowest", round(max(w.slowest for w in workers), 1), "s")
io.close()
cluster.shutdown()
