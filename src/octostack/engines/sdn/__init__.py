# SPDX-License-Identifier: Apache-2.0
"""The fabric: a host's intent becomes flows in its switch.

How a change runs: `core.model` indexes the intent and gives everything a small number;
`core.compile` turns each item into flows of the tables that `core.pipeline` declares;
`core.diff` compares with what the switch holds; `switch` sends the difference as one bundle.
What the flows cannot answer alone (DHCP, a neighbour's address) comes up as a packet to
`packet_in`. `ovsdb` makes bridges and ports, `daemon` runs the switch's own processes.
`core.trace` follows a packet through the same flows. Read `core/pipeline.py` first.
"""
