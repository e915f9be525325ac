# SPDX-License-Identifier: Apache-2.0
"""A storage cluster on its own: ``octostack ceph up DIR``, ``down DIR`` and ``run DIR osd.0``.

`cluster` is the directory: what the cluster is made of, and the files its clients read. `units` are
its processes, `start` starts and stops them, `process` is what runs in them, `founding` comes
before the first start, and `asking` asks the monitors whether all is well.
"""
