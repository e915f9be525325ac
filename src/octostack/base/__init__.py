# SPDX-License-Identifier: Apache-2.0
"""What everything may use: errors, clock, ids, configuration, logs, limits. Knows nobody."""
