# SPDX-License-Identifier: Apache-2.0
"""The network agent of a host.

An intent arrives (`agent.Agent.apply`, `change`), is checked and compiled, written to the ledger,
and then carried out by `engines.sdn.fabric`; the answer says what the switch now follows. A loop
carries it out again whenever something changed by itself (a device, the switch, a restart), so
there is one path for all cases. `metadata` answers guests at 169.254.169.254 by asking Compute.
Read `agent.py` first, then `engines/sdn/core/pipeline.py`.
"""
