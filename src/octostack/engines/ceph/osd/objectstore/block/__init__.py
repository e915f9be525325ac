# SPDX-License-Identifier: Apache-2.0
"""An object store on a disk of its own: a regular file or a block device.

The disk, in blocks of 4 KiB: two superblocks, a ring for the journal, and the rest for data.

* **Objects' bytes** lie in blocks anywhere in the rest, each with its CRC-32C in the metadata,
  checked at every read. New blocks, and those of large writes, go straight to free space. A small
  write over blocks that are there goes through the journal and is then put in their place.
* **Metadata** are keys and values (`keys`): changed ones in memory, older ones in sorted `tables`,
  which are merged as they become many.
* **The journal** (`journal`) makes a batch of transactions durable with one sync, which is that of
  its data as well: a frame names the checksums of the blocks written straight, and a last frame
  whose blocks are not what it says was never acknowledged.
* **A checkpoint** writes the changed metadata as a table and then a superblock; the journal before
  it is free again.

See docs/decisions for why, and `store` for the whole at work.
"""
