# SPDX-License-Identifier: Apache-2.0
"""The part of the fabric that only thinks: intent in, flows and answers out."""
