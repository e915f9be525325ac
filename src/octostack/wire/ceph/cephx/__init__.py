# SPDX-License-Identifier: Apache-2.0
"""cephx: who proves a key to a monitor gets tickets, and shows them to OSDs and managers.

    client -> monitor   a proof of its key         monitor -> client   tickets and session keys
    client -> OSD       an authorizer: the ticket, sealed for the OSD by a key that rotates

`boxes` seals, `tickets` says what is in the boxes, `server` and `client` are the two sides as
machines for `wire.ceph.link`, `keyring` reads and writes files of keys, `caps` says who may what.
"""
