# SPDX-License-Identifier: Apache-2.0
"""JSON in (schemas) and out (views), a file for each resource."""
