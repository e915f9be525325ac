# SPDX-License-Identifier: Apache-2.0
"""The numbers of operations (rados.h of Ceph 16.2)."""

from enum import IntEnum

MODE_WRITE = 0x2000


class Code(IntEnum):
    """What an operation does; its bits tell whether it reads or writes, and of what kind it is."""

    READ = 0x1201
    STAT = 0x1202
    MAPEXT = 0x1203
    SPARSE_READ = 0x1205
    NOTIFY = 0x1206
    NOTIFY_ACK = 0x1207
    ASSERT_VER = 0x1208
    LIST_WATCHERS = 0x1209
    LIST_SNAPS = 0x120A
    SYNC_READ = 0x120B
    OMAP_KEYS = 0x1211
    OMAP_VALUES = 0x1212
    OMAP_HEADER = 0x1213
    OMAP_BY_KEYS = 0x1214
    OMAP_CMP = 0x1219
    IS_DIRTY = 0x121D
    COPY_GET = 0x121E
    CHECKSUM = 0x121F
    CMPEXT = 0x1220
    WRITE = 0x2201
    WRITE_FULL = 0x2202
    TRUNCATE = 0x2203
    ZERO = 0x2204
    DELETE = 0x2205
    APPEND = 0x2206
    TRIMTRUNC = 0x2209
    CREATE = 0x220D
    ROLLBACK = 0x220E
    WATCH = 0x220F
    OMAP_SET = 0x2215
    OMAP_SET_HEADER = 0x2216
    OMAP_CLEAR = 0x2217
    OMAP_REMOVE = 0x2218
    COPY_FROM = 0x221A
    UNDIRTY = 0x221C
    ALLOC_HINT = 0x2223
    WRITE_SAME = 0x2226
    OMAP_REMOVE_RANGE = 0x222C
    COPY_FROM2 = 0x222D
    GETXATTR = 0x1301
    GETXATTRS = 0x1302
    CMPXATTR = 0x1303
    SETXATTR = 0x2301
    RMXATTR = 0x2304
    CALL = 0x1401
    PGLS = 0x1501
    PGLS_FILTER = 0x1502
    PGNLS = 0x1505
    PGNLS_FILTER = 0x1506
    SCRUBLS = 0x1507


ON_GROUPS = frozenset({Code.PGLS, Code.PGLS_FILTER, Code.PGNLS, Code.PGNLS_FILTER, Code.SCRUBLS})
