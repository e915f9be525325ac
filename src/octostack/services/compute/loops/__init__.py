# SPDX-License-Identifier: Apache-2.0
"""What drives the world to the rows: sagas for boot and delete, loops for the rest."""
