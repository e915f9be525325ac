# SPDX-License-Identifier: Apache-2.0
"""A whole storage cluster on virtual time: the real monitors, OSDs and clients, over a network
(`testing.simnet`) and disks (`testing.simdevice`, `testing.simdisk`) that fail as a seed says.

`machines`: one daemon on its node, killed and started again. `cluster`: all of them, and what must
hold of them. `work`: what clients do. `trouble`: what goes wrong. `life`: all of it together.
"""
