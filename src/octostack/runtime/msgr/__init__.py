# SPDX-License-Identifier: Apache-2.0
"""Ceph's messenger over real or simulated streams; the protocol itself is `wire.ceph`."""
