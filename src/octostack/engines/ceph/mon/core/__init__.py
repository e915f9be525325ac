# SPDX-License-Identifier: Apache-2.0
"""What a monitor decides: pure functions from state and request to answer and change."""
