# SPDX-License-Identifier: Apache-2.0
"""kill -9 at a named point of a real process, with no line for it in the product.

What a crash can divide is what leaves the process: a commit, a change of a file's name, the answer
to a call. `points` learns of each from the interpreter itself (SQLite's trace, audit events) and
from three wrapped methods, gives it a name such as ::

    before commit compute_cell1 (update sagas, update servers) in server.boot/2

and, where it was told to, ends the process by SIGKILL. `forker` keeps a process with everything
imported, from which a cloud starts in a fraction of the time. `cloud` is the test's side: which
processes a cloud has, which of them is the victim, what was passed, and starting it again.
"""
