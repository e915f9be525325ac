# SPDX-License-Identifier: Apache-2.0
"""Every statement of Identity. Takes and returns the model's Structs."""
