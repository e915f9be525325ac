# SPDX-License-Identifier: Apache-2.0
"""The agent that runs machines on one host: serves `contracts.compute_agent.ComputeAgent`.

An order goes into the ledger (`ledger.py`, a file per machine, durable before anything is done).
The machine's worker (`worker.py`) then looks at the machine, asks
`engines.virt.core.converge` what is to be done, and does it, until nothing is left. The same
happens after a restart of the agent, for every machine, so a crash at any point is only a pause.
What changed is told to the compute service (`reports.py`). Start with `agent.py`.

`simulated.py` builds the same agent over machines in memory.
"""
