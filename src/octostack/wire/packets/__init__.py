# SPDX-License-Identifier: Apache-2.0
"""Packets the network itself reads and writes: Ethernet, ARP, IPv4, UDP, ICMP and DHCP.

What is parsed here comes from guests: every parser checks every length and raises Invalid.
Addresses are integers, as in `wire.openflow`.
"""
