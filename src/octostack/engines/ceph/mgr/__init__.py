# SPDX-License-Identifier: Apache-2.0
"""A manager: gathers what OSDs report, answers the commands about it, and looks after the cluster.

It lives in the process of a monitor, beside whose state it works, and has an address of its own,
which the map of managers tells. `core` decides; `daemon` listens; `keeper` does again and again
what is to be done without being asked.
"""
