# SPDX-License-Identifier: Apache-2.0
"""CRUSH: from a number to an ordered set of devices, the same on every machine.

`rules.map_input` walks a rule; `firstn` and `indep` are its two ways to choose; each algorithm of
buckets has its file. `bulk` does whole pools at once with numpy. `text` is the form people edit,
`edit` and `classes` what `ceph osd crush ...` does to a map. All of it is checked, bit by bit,
against crushtool and osdmaptool of Ceph 16.2.15; docs/compat/ceph.md says how.
"""
