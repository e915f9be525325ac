# SPDX-License-Identifier: Apache-2.0
"""Write down what a command says to a real Ceph cluster on the loopback interface, both ways.

    python capture.py OUTPUT.json KEYRING COMMAND...

As root, with a cluster of Ceph itself on this machine (see ../README.md) and its ceph.conf in
$CEPH_CONF. Each TCP connection whose first bytes are the messenger's banner becomes one entry:
``{"server_port": N, "client": base64, "server": base64}``. The keyring goes into the file as well:
take a cluster that is thrown away afterwards.
"""

import base64
import json
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

BANNER = b"ceph v2\n"
ETH_P_ALL = 3
HANDSHAKE_BYTES = 200


class Stream:
    """One direction of a connection."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.parts: dict[int, bytes] = {}

    def add(self, seq: int, data: bytes) -> None:
        """A segment, which may come twice: loopback shows packets going out and coming in."""
        if self.first is None:
            self.first = seq
        self.parts[(seq - self.first) & 0xFFFFFFFF] = data

    def whole(self) -> bytes:
        """All bytes in order, up to the first that was missed."""
        found = bytearray()
        for at in sorted(self.parts):
            if at > len(found):
                break
            found += self.parts[at][len(found) - at :]
        return bytes(found)


def listen(sock: socket.socket, streams: dict[tuple[int, int], Stream]) -> None:
    """Sort packets into streams until the socket is closed."""
    while True:
        try:
            packet = sock.recv(1 << 17)
        except OSError:
            return
        if packet[12:14] != b"\x08\x00" or packet[14 + 9] != 6:
            continue
        ip = packet[14:]
        total = struct.unpack_from(">H", ip, 2)[0]
        tcp = ip[(ip[0] & 15) * 4 : total or None]
        source, target, seq = struct.unpack_from(">HHI", tcp)
        data = tcp[(tcp[12] >> 4) * 4 :]
        if data:
            streams.setdefault((source, target), Stream()).add(seq, bytes(data))


def main() -> None:
    """See the module's docstring."""
    output, keyring, *command = sys.argv[1:]
    streams: dict[tuple[int, int], Stream] = {}
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
    sock.bind(("lo", 0))
    thread = threading.Thread(target=listen, args=(sock, streams), daemon=True)
    thread.start()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    thread.join(0.5)
    found = []
    for (source, target), stream in list(streams.items()):
        answer = streams.get((target, source))
        client = stream.whole()
        # who connects has the higher port: daemons here are configured below the ephemeral ones
        if source < target or answer is None or not client.startswith(BANNER):
            continue
        if len(client) < HANDSHAKE_BYTES:  # given up before it was used
            continue
        found.append(
            {
                "server_port": target,
                "client": base64.b64encode(client).decode(),
                "server": base64.b64encode(answer.whole()).decode(),
            }
        )
    version = subprocess.run(["ceph", "--version"], capture_output=True, check=True, text=True)
    whole = {
        "version": version.stdout.strip(),
        "command": [Path(command[0]).name, *command[1:]],
        "output": done.stdout.decode("utf-8", "replace"),
        "keyring": Path(keyring).read_text(),
        "connections": found,
    }
    Path(output).write_text(json.dumps(whole, indent=1) + "\n")
    print(len(found), "connections")


if __name__ == "__main__":
    main()
