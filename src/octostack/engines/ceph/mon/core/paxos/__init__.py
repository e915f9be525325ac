# SPDX-License-Identifier: Apache-2.0
"""How several monitors agree on one history of changes: elections, and Paxos under a leader.

`values` are the messages, `election` chooses a leader by rank, `machine` is a monitor: calls go in
with the time, effects come out in order. The phases are those of Ceph's monitors (collect, begin,
commit, lease: src/mon/Paxos.cc of 16.2); what differs stands in `machine`.
"""
