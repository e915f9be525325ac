# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in a simulated cluster, drawn from the seed."""

import asyncio
import random

from octostack.testing.cephsim.cluster import FAST, GROUPS, SLOW, SimCluster
from octostack.testing.cephsim.machines import Machine
from octostack.testing.cephsim.rot import Rot
from octostack.testing.cephsim.work import Work

_KINDS = {
    "break": 6,  # a stream
    "late": 8,  # the same, and the other end finds out later
    "cut": 2,  # a link, one way or both
    "part": 1,  # some nodes from the others
    "slow": 1,
    "kill": 4,  # a process
    "power": 3,  # what was not synced is lost as well
    "torn": 3,  # the same, in the middle of a write
    "mon": 2,
    "client": 1,
    "heal": 2,
}
_GROUPS_MAX = 16


class Trouble:
    """Faults, one after the other and over each other; `told` is the story."""

    def __init__(self, cluster: SimCluster, work: Work, seed: int) -> None:
        self.cluster = cluster
        self.work = work
        self.rng = random.Random(f"trouble {seed}")
        self.told: list[str] = []
        self.rot = Rot(cluster, self.rng)
        self._kinds = _KINDS | ({"split": 1} if cluster.plan.splits else {})
        self._kinds |= {"rot": 8} if cluster.plan.rots else {}
        self._groups = GROUPS

    async def run(self) -> None:
        """For as long as the plan says; what is broken then stays so."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self.cluster.plan.trouble_s
        while True:
            await asyncio.sleep(self.rng.expovariate(0.7))
            if loop.time() > end_s:
                return
            self._do(self.rng.choices([*self._kinds], [*self._kinds.values()])[0])

    def _do(self, kind: str) -> None:
        rng, cluster, net = self.rng, self.cluster, self.cluster.net
        nodes = [machine.name for machine in cluster.machines]
        clients = [f"client{number}" for number in range(cluster.plan.clients)]
        match kind:
            case "break":
                net.break_one(rng)
                self._tell("a stream broke")
            case "late":
                net.break_one(rng, rng.choice([None, *clients]), late=True)
                self._tell("a stream broke, late at the other end")
            case "rot":
                self._tell(self.rot.strike() or "no bit")
            case "cut":
                one, other = rng.sample([*nodes, *clients], 2)
                both = rng.random() < 0.5
                net.cut(one, other, both=both)
                self._tell(f"{one} {'and' if both else 'to'} {other} cut")
            case "part":
                self._part(nodes)
            case "slow":
                net.delay_s = SLOW
                self._tell("slow")
            case "client":
                node = rng.choice(clients)
                self._tell(f"{node} replaced")
                self.work.replace(node)
            case "split":
                self._split()
            case "heal":
                net.heal()
                net.delay_s = FAST
                self._tell("the network heals")
            case "mon":
                self._fell(rng.choice(cluster.mons), rng.choice(("kill", "power")))
            case _:
                self._fell(rng.choice(cluster.osds), kind)

    def _split(self) -> None:
        self._groups = min(self._groups + self.rng.randint(1, 4), _GROUPS_MAX)
        self._tell(f"{self._groups} groups")
        self.work.split(self._groups)

    def _part(self, nodes: list[str]) -> None:
        some = self.rng.sample(nodes, self.rng.randrange(1, len(nodes)))
        both = self.rng.random() < 0.5
        for one in some:
            for other in nodes:
                if other not in some:
                    self.cluster.net.cut(one, other, both=both)
        self._tell(f"{some} cut off, {'both ways' if both else 'one way'}")

    def _fell(self, machine: Machine, kind: str) -> None:
        """Kill a machine; it comes back later."""
        if not machine.is_alive:
            return
        silent = self.rng.random() < 0.3
        if kind == "torn":
            machine.crash_soon()
        else:
            machine.kill(power=kind == "power", silent=silent)
        self._tell(f"{machine.name}: {kind}{', silent' * silent}")
        later_s = self.rng.choice((0.1, 2.0, 12.0)) * self.rng.uniform(0.5, 2)
        asyncio.get_running_loop().call_later(later_s, self._revive, machine)

    def _revive(self, machine: Machine) -> None:
        if not machine.is_alive:
            self._tell(f"{machine.name} starts")
            machine.start()

    def _tell(self, text: str) -> None:
        self.told.append(f"{asyncio.get_running_loop().time():9.4f} {text}")
