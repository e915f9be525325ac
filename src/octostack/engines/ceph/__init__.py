# SPDX-License-Identifier: Apache-2.0
"""The storage engine: monitors and OSDs that speak Ceph's protocol."""
