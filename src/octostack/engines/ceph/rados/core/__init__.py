# SPDX-License-Identifier: Apache-2.0
"""What the client decides without I/O: settings, where objects go, what is sent again and when."""
