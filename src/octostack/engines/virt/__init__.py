# SPDX-License-Identifier: Apache-2.0
"""Machines: QEMU processes on one host, or simulated ones, behind one face.

Read `core/converge.py` first: from what a machine shall be and what is seen of it, to the acts
that lead there. `hypervisor.py` is the face; `qemu/` does the acts with processes and disks,
`simulated.py` in memory. Who decides *when* is the agent (`octostack.agents.compute`).
"""
