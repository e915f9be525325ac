# SPDX-License-Identifier: Apache-2.0
"""A storage cluster on its own: ``octostack ceph up DIR`` and ``down DIR``.

`cluster` is the directory: what the cluster is made of, and the files its clients read. `process`
runs its monitors and OSDs.
"""
