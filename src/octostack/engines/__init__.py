# SPDX-License-Identifier: Apache-2.0
"""What does the work: the network fabric, the machines. Each could be its own project."""
