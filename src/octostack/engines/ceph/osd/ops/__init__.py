# SPDX-License-Identifier: Apache-2.0
"""What operations do to one object: decided on its state, put out as results and changes."""
