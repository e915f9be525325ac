# SPDX-License-Identifier: Apache-2.0
"""JSON in and out. The schemas are also what ``/v2/schemas`` shows."""
