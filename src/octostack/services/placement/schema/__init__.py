# SPDX-License-Identifier: Apache-2.0
"""JSON in and out, by resource and microversion."""
