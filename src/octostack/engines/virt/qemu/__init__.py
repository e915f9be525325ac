# SPDX-License-Identifier: Apache-2.0
"""Machines as QEMU processes.

A machine is a directory: its disks, sockets, logs. Its process works in that directory, under a
user id that only this machine has, in a session of its own; it outlives the agent. It is found
again by what cannot lie: who listens on the monitor socket in that directory, whether its working
directory is that one, and the machine's id as QEMU itself tells it. `layout` names the files,
`process` starts and finds, `monitor` speaks QMP, `disks` makes files, `machines` does the acts.
"""
