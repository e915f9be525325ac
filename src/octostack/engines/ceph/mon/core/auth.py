# SPDX-License-Identifier: Apache-2.0
"""Entities with their keys and capabilities, and the keys of services, which rotate.

Of a service three keys are known at a time: tickets are sealed with the middle one, those sealed
with the one before are still good, and the next is told to daemons before it is used.
"""

from typing import Final

import msgspec

from octostack.wire.ceph.addresses import EntityType
from octostack.wire.ceph.cephx.boxes import Key, parse_key
from octostack.wire.ceph.cephx.keyring import Entry
from octostack.wire.ceph.cephx.server import AUTH_TICKET_NS, SERVICE_TICKET_NS, SERVICES, Senses
from octostack.wire.ceph.cephx.tickets import RotatingKey

KEYS_KNOWN: Final = 3
ROTATING: Final = (*SERVICES, EntityType.AUTH)
CEPHX: Final = "cephx"
MONITORS: Final = "mon."  # the entity that all monitors are


class Entity(msgspec.Struct, frozen=True):
    """As it is kept: a key in a keyring's form, and capabilities by service."""

    key: str
    caps: dict[str, str] = {}


class ServiceKey(msgspec.Struct, frozen=True):
    """One of a service's keys."""

    id: int
    key: str
    expires: int


class Auth(msgspec.Struct, frozen=True):
    """All keys of a cluster."""

    entities: dict[str, Entity] = {}
    rotating: dict[int, tuple[ServiceKey, ...]] = {}


def admin(key: Key) -> Entity:
    """Who may do everything."""
    return Entity(str(key), dict.fromkeys(("mds", "mgr", "mon", "osd"), "allow *"))


def osd(key: Key) -> Entity:
    """An OSD."""
    return Entity(
        str(key), {"mgr": "allow profile osd", "mon": "allow profile osd", "osd": "allow *"}
    )


def rotated(auth: Auth, senses: Senses) -> Auth | None:
    """With the keys that must be there by now; None when they are."""
    now = senses.now_ns()
    changed = {}
    for service in ROTATING:
        known = list(auth.rotating.get(int(service), ()))
        before = len(known)
        while len(known) < KEYS_KNOWN or known[1].expires <= now:
            known = [*known, _next(known, service, senses)][-KEYS_KNOWN:]
            before = -1
        if before < 0:
            changed[int(service)] = tuple(known)
    if not changed:
        return None
    return msgspec.structs.replace(auth, rotating={**auth.rotating, **changed})


def _next(known: list[ServiceKey], service: int, senses: Senses) -> ServiceKey:
    lifetime = AUTH_TICKET_NS if service == EntityType.AUTH else SERVICE_TICKET_NS
    number = known[-1].id + 1 if known else 1
    after = max(known[-1].expires if known else 0, senses.now_ns())
    return ServiceKey(number, str(senses.key()), after + lifetime)


class KeyTable:
    """What the cephx server asks, answered out of an `Auth`."""

    def __init__(self, auth: Auth, monitors: Key | None = None) -> None:
        self._entities = auth.entities
        self._monitors = Entry(monitors, {"mon": "allow *"}) if monitors is not None else None
        self._rotating = {
            service: {key.id: RotatingKey(key.id, parse_key(key.key), key.expires) for key in keys}
            for service, keys in auth.rotating.items()
        }

    def find_entry(self, entity: str) -> Entry | None:
        """An entity's key and caps."""
        if entity == MONITORS:
            return self._monitors
        known = self._entities.get(entity)
        return Entry(parse_key(known.key), known.caps) if known else None

    def get_current(self, service: int) -> RotatingKey:
        """The key that new tickets of the service are sealed with."""
        keys = self._rotating[service]
        return keys[sorted(keys)[1]]

    def find_service_key(self, service: int, secret_id: int) -> Key | None:
        """The key of that id, while it is known."""
        found = self._rotating.get(service, {}).get(secret_id)
        return found.key if found else None
