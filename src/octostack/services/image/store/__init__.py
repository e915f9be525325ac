# SPDX-License-Identifier: Apache-2.0
"""Image's rows (`images`, `members`, `tasks`) and bytes (`blobs`, `files`)."""
