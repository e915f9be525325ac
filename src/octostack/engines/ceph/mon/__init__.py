# SPDX-License-Identifier: Apache-2.0
"""A monitor: the maps, who may see and change them, and the commands that do.

`core` decides: from a state and a request to an answer and a change, without I/O. `daemon` holds
connections; whatever changes the state goes through one queue, is made durable by `store`, then
published to who subscribed, then answered.
"""
