# SPDX-License-Identifier: Apache-2.0
"""OpenFlow 1.3 with Open vSwitch's extensions: bytes ⇄ values.

`fields` names what can be matched and set, `match` and `actions` encode flows out of it,
`messages` are what goes over the connection, `text` writes flows for people.
Checked against Open vSwitch 3.1: what it stores comes back as what we sent (tests/vectors).
"""
