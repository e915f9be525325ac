# SPDX-License-Identifier: Apache-2.0
"""Rows carried out: `fabric` tells hosts, `gateways` places routers, `bindings` tells Compute."""
