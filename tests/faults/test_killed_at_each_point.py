# SPDX-License-Identifier: Apache-2.0
"""kill -9 exactly at each point of what the cloud does, one after the other.

A first run of an operation writes down every point that the victim passes: before and after each
commit, call, answer and change of a file. Then, for each of them: the operation again, death there,
a new start, and all must be finished, undone or honestly in ERROR, with nothing left behind; what
is left of it must go when it is deleted. Every fourth time the new process dies as well, at some
point of its recovery.

FAULT_POINTS says how many points of each operation are tried, drawn by FAULT_SEED; ``make faults``
tries all of them.
"""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx2
import pytest

from octostack.testing.crash.cloud import EMBEDDED, SPLIT, Cloud, Dead
from octostack.testing.crash.points import ANY, Order
from octostack.testing.crash.world import NETWORK, World

pytestmark = pytest.mark.timeout(3600)

POINTS = os.environ.get("FAULT_POINTS", "")
SEED = int(os.environ.get("FAULT_SEED", "1"))
RECOVERY_POINTS = 25  # how far a recovery gets that is killed too
REPEATS = 2  # of a point within one operation; more are the same again

VICTIMS = {"all": EMBEDDED, "control": SPLIT, "hosts": SPLIT}
FEW = {"all": 2, "control": 2, "hosts": 1}  # a host that dies in a call is missed after 10 s only

Work = Callable[[], Any]


def boot(world: World) -> Work:
    return lambda: world.boot("new")


def delete(world: World) -> Work:
    server = world.boot("old")
    world.settle()
    return lambda: world.ask("DELETE", f"/compute/v2.1/servers/{server}")


def upload(world: World) -> Work:
    return lambda: world.upload("another", 1 << 18)


def router(world: World) -> Work:
    body = {"subnet_id": world.subnet_more()}
    path = f"{NETWORK}/routers/{world.router}"

    def work() -> None:
        world.ask("PUT", f"{path}/add_router_interface", json=body)
        world.settle()
        world.ask("PUT", f"{path}/remove_router_interface", json=body)

    return work


def floating(world: World) -> Work:
    order = {"floating_network_id": world.public, "port_id": world.port}

    def work() -> None:
        made = world.ask("POST", f"{NETWORK}/floatingips", json={"floatingip": order})
        world.settle()
        for port in (None, world.port):
            path = f"{NETWORK}/floatingips/{made['floatingip']['id']}"
            world.ask("PUT", path, json={"floatingip": {"port_id": port}})

    return work


RECORDINGS = 2  # a host may be told just after all rows have come to rest, and be missed in one
OPERATIONS = (boot, delete, upload, router, floating)
NOT_CONCERNED = (("hosts", upload),)


@pytest.fixture(scope="module", params=VICTIMS)
def scene(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["Scene"]:
    directory = tmp_path_factory.mktemp("crash")
    with (
        Cloud(directory, VICTIMS[request.param]) as cloud,
        cloud.client() as client,
    ):
        yield Scene(cloud, World(cloud, client), request.param)


class Scene:
    """A cloud, its world, and the process that is to die."""

    def __init__(self, cloud: Cloud, world: World, victim: str) -> None:
        self.cloud = cloud
        self.world = world
        self.victim = victim

    def begin(self, order: Order) -> None:
        """The victim anew, to die by `order` when that counts."""
        self.cloud.kill(self.victim)
        self.cloud.start(self.victim, order)
        with suppress(Dead):
            self.cloud.processes[self.victim].wait_ready()

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Within it points count, and nobody waits for a dead victim."""
        self.cloud.take_passed(self.victim)
        self.cloud.arm()
        self.world.given_up = self.is_dead
        try:
            yield
        finally:
            self.cloud.arm(on=False)
            self.world.given_up = lambda: False

    def is_dead(self) -> bool:
        """Whether the order was carried out."""
        return self.cloud.processes[self.victim].is_dead()


def record(scene: Scene, operation: Callable[[World], Work]) -> list[Order]:
    """Every point of the operation, in the order in which they were passed first.

    The first time is not written down: the start of the victim still has its own points then.
    """
    operation(scene.world)()
    scene.world.settle()
    scene.world.clean()
    counts: Counter[str] = Counter()
    for _ in range(RECORDINGS):
        work = operation(scene.world)
        with scene.armed():
            work()
            scene.world.settle()
        counts |= Counter(scene.cloud.take_passed(scene.victim))
        scene.world.check()
        scene.world.clean()
    return [Order(p, n) for p, times in counts.items() for n in range(1, min(times, REPEATS) + 1)]


def play(scene: Scene, operation: Callable[[World], Work], order: Order, again: int) -> bool:
    """Die by `order` (and at the `again`-th point of the recovery); whether it did die."""
    scene.begin(order)
    scene.world.settle()
    work = operation(scene.world)
    with scene.armed():
        with suppress(httpx2.HTTPError):
            work()
        died = scene.world.settle()
    if again:
        with scene.armed():
            scene.begin(Order(ANY, again))
            scene.world.settle()
    scene.begin(Order())
    scene.world.settle()
    scene.world.check()
    scene.world.clean()
    scene.world.check()
    return died


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.__name__)
def test_killed_at_each_point(scene: Scene, operation: Callable[[World], Work]) -> None:
    if (scene.victim, operation) in NOT_CONCERNED:
        return
    scene.begin(Order())
    orders = record(scene, operation)
    assert len(orders) > 3, orders
    chance = random.Random(f"{SEED} {scene.victim} {operation.__name__}")
    some = len(orders) if POINTS == "all" else int(POINTS or FEW[scene.victim])
    deaths = 0
    missed = []  # a point may be passed in one run and not in the next
    for order in chance.sample(orders, len(orders)):
        if deaths == some:
            break
        again = chance.choice((0, 0, 0, chance.randint(1, RECOVERY_POINTS)))
        try:
            died = play(scene, operation, order, again)
        except (AssertionError, httpx2.HTTPError) as error:
            log = scene.cloud.processes[scene.victim].tail()
            what = f"killed at {order}, again at {again}: {error!r}\n{log}"
            raise AssertionError(what) from error
        deaths += died
        missed += [] if died else [order]
    name = f"{scene.victim} {operation.__name__}"
    print(f"{name}: died at {deaths} of {len(orders)} points; not passed again: {missed}")
    assert deaths >= min(some, len(orders) / 2), f"never passed again: {missed}"
