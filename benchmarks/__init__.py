# SPDX-License-Identifier: Apache-2.0
"""Measurements with their targets: `make bench`, or `make bench ARGS="tokens ports"` for some.

Each module here has `run(bench)`, drives a cloud started by the real command, and reports medians
with their spread. Machines are noisy: nothing here is asserted, and ratios count more than figures.
Beside the time by the clock stands the processor time that the cloud took for each, which a busy
machine changes less.
"""
