# SPDX-License-Identifier: Apache-2.0
"""The cloud in one process on virtual time, and what tests share."""
