# SPDX-License-Identifier: Apache-2.0
"""What runs on a host: it keeps a ledger in a file and makes the host match it.

Composition (`octostack.apps.parts`) finds in each agent's package two modules:

    service     Config(host: str, ...) and build(runtime, config): the agent of this machine;
                host_stop(state_dir): end its daemons and guests on this machine, data stays;
                host_remove(state_dir): that, and take away every device left in the kernel
    simulated   Config(hosts: int, ...) and build(runtime, config): so many simulated hosts

Both serve the same contract, one instance for each host. When the process stops, guests and
switches go on; only ``octostack down`` (`host_stop`) ends them.
"""
