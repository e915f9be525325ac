# SPDX-License-Identifier: Apache-2.0
"""What kind of disk image some bytes are, how large a disk they hold, and whether they are safe.

    inspector = Inspector()
    async for chunk in upload:
        inspector.feed(chunk)
    facts = inspector.finish()
    reason = refusal(facts, declared="qcow2")     # None, or a sentence for the user

The inspector sees the stream once and keeps only what it needs of it, some hundred KiB: it can
sit in the path of an upload. `inspect` does the same over anything that reads at an offset.
The bytes are hostile: whatever points outside the file, at another file, or into nowhere ends
in `Facts.flaw`, never in an exception, a loop or a large allocation.
"""

from octostack.wire.diskformats.facts import FORMATS, Facts, refusal
from octostack.wire.diskformats.inspector import Inspector, inspect

__all__ = ["FORMATS", "Facts", "Inspector", "inspect", "refusal"]
