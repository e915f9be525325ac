# SPDX-License-Identifier: Apache-2.0
"""Class `rbd`: images, as librbd keeps them (format 2; cls_rbd of 16.2).

An image is its header's omap (`header`, `snapshots`, `parents`, `metadata`), an object that holds
its id under its name and the pool's directory (`directory`), a map of which of its objects are
there (`objectmap`), and those objects (`blocks`). `trash`, `namespaces`, `groups` and `mirrors`
are what a pool knows besides. `values` has what goes over the wire and into omaps.
"""

from octostack.engines.ceph.osd.cls.rbd import (  # noqa: F401 - they register methods
    blocks,
    directory,
    groups,
    header,
    metadata,
    mirrors,
    namespaces,
    objectmap,
    parents,
    snapshots,
    trash,
)
