# SPDX-License-Identifier: Apache-2.0
"""Image put together."""

import socket
from functools import partial

import msgspec

from octostack.contracts.image import Images
from octostack.runtime.http import Api, Inner
from octostack.runtime.loop import Loop
from octostack.runtime.service import Runtime, Service
from octostack.services.image import policy, routes
from octostack.services.image.api.app import App
from octostack.services.image.api.contract import ImageCalls
from octostack.services.image.core.quota import Limits
from octostack.services.image.core.uris import Rules
from octostack.services.image.loops import imports, scrub
from octostack.services.image.store import migrations, tables
from octostack.services.image.store.files import FileBlobs
from octostack.services.image.store.vault import Vault


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The operator's choices. Sizes are in bytes where not said otherwise."""

    size_max_bytes: int = 1 << 40
    import_methods: tuple[str, ...] = ("glance-direct", "web-download")
    limits: Limits = Limits()
    web_download: Rules = Rules()


async def build(runtime: Runtime, config: Config) -> Service:
    """The service, with what a crash left set right."""
    db = await runtime.database("image", tables.metadata, migrations.MIGRATIONS)
    blobs = FileBlobs(runtime.state_dir / "images")
    vault = Vault(db=db, blobs=blobs, limits=config.limits, size_max=config.size_max_bytes)
    await scrub.scrub(vault, 0.0)
    importer = Loop("image.imports", partial(imports.run, vault, config.web_download), every_s=15)
    app = App(
        db=db,
        blobs=blobs,
        limits=config.limits,
        size_max=config.size_max_bytes,
        uris=config.web_download,
        import_methods=config.import_methods,
        host=socket.gethostname(),
        wake_imports=importer.wake,
    )
    api = Api(
        name="image",
        prefix="/image",
        routes=routes.ROUTES,
        faults=routes.faults,
        app=app,
        policy=runtime.policy("image", policy.RULES),
        strict_slash=True,
    )
    return Service(
        name="image",
        apis=[api],
        contracts=[(Images, ImageCalls(app, Inner(api)), None)],
        loops=[importer, Loop("image.scrub", partial(scrub.scrub, vault), every_s=600)],
    )
