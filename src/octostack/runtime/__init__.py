# SPDX-License-Identifier: Apache-2.0
"""The world, for every service: HTTP, database, bus, sagas, loops, tasks. Knows no service."""
