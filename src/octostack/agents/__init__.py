# SPDX-License-Identifier: Apache-2.0
"""What runs on a host: it keeps a ledger in a file and makes the host match it."""
