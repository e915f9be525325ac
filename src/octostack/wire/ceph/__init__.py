# SPDX-License-Identifier: Apache-2.0
"""Ceph's protocol as values: messenger v2.1, cephx, maps and messages, of release 16.2 (Pacific).

Nothing in here opens a socket or reads a clock. Facts are from Ceph's documentation and from bytes
captured from its own programs (tests/vectors/ceph).
"""
