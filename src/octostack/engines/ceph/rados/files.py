# SPDX-License-Identifier: Apache-2.0
"""Finding and reading the files of a client: its configuration and its keys."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from octostack.base.errors import Invalid, NotFound
from octostack.engines.ceph.rados.core import config
from octostack.engines.ceph.rados.core.config import Sections, Settings
from octostack.wire.ceph.cephx import keyring
from octostack.wire.ceph.cephx.boxes import Key, parse_key

_SHORT = {"-c": "conf", "-n": "name", "-i": "id", "-k": "keyring", "-m": "mon_host"}
_LONG = {"user": "id"}


def load(
    conf: str | Path | None = None,
    *,
    entity: str | None = None,
    cluster: str | None = None,
    told: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """The settings of a client. Raises NotFound when a file that was named is not there.

    What is given here wins over ``CEPH_ARGS``, that over ``CEPH_CONF`` and ``CEPH_KEYRING``, these
    over the file. Without a name the file is looked for where Ceph's programs do.
    """
    seen = os.environ if environment is None else environment
    words = _words(seen.get("CEPH_ARGS", ""))
    name = entity or words.pop("name", "") or f"client.{words.pop('id', 'admin')}"
    cluster = cluster or words.pop("cluster", "ceph")
    named = str(conf or words.pop("conf", "") or seen.get("CEPH_CONF", ""))
    around = dict(words)
    if "CEPH_KEYRING" in seen:
        around.setdefault("keyring", seen["CEPH_KEYRING"])
    settings = Settings(name, cluster, None, told, around)
    settings.file = _read_first(settings, named, seen)
    return settings


def find_key(settings: Settings) -> Key | None:
    """The entity's key: given itself, in a file of its own, or in one of the keyrings."""
    if text := settings.find("key"):
        return parse_key(text)
    if path := settings.find("keyfile"):
        return parse_key(_text(Path(path)).strip())
    for path in settings.words("keyring"):
        file = Path(path)
        if file.is_file():
            entry = keyring.parse(_text(file)).get(settings.entity)
            if entry is not None:
                return entry.key
    return None


def _words(text: str) -> dict[str, str]:
    """Options as programs of Ceph take them. Raises Invalid."""
    found: dict[str, str] = {}
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise Invalid(f"CEPH_ARGS: {error}", code="ceph.args") from error
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if not name.startswith("-"):
            continue
        if not equals:
            value = words.pop(0) if words and not words[0].startswith("-") else "true"
        name = _SHORT.get(name, name.lstrip("-"))
        name = config.normal(name)
        found[_LONG.get(name, name)] = value
    return found


def _read_first(settings: Settings, named: str, environment: Mapping[str, str]) -> Sections:
    if named:
        paths = [Path(part.strip()) for part in named.split(",")]
        found = next((path for path in paths if path.is_file()), None)
        if found is None:
            raise NotFound(f"There is no configuration at {named}.", code="rados.no_conf")
        return config.parse(_text(found))
    home = environment.get("HOME", "")
    file = f"{settings.cluster}.conf"
    usual = [Path("/etc/ceph") / file, Path(home) / ".ceph" / file if home else None, Path(file)]
    for path in usual:
        if path is not None and path.is_file():
            return config.parse(_text(path))
    return {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error}", code="rados.file") from error
