# SPDX-License-Identifier: Apache-2.0
"""The text form of a map, as `crushtool -d` writes and `crushtool -c` reads it."""
