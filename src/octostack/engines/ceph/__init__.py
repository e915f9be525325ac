# SPDX-License-Identifier: Apache-2.0
"""The storage engine: monitors, managers and OSDs that speak Ceph's protocol, and a client.

`core` is what all of them compute alike: CRUSH, the OSD map, erasure codes. `mon` keeps the maps,
`mgr` what OSDs report, `osd` the objects; `rados` is our client, for a real cluster as for ours.
Bytes stand in `wire.ceph`, sockets in `runtime.msgr`; `apps.ceph` starts the daemons.
"""
