# SPDX-License-Identifier: Apache-2.0
"""The page a VNC console's URL leads to.

It checks that the console answers and says where it is. It draws no picture: point noVNC, or any
viewer that speaks RFB over WebSocket, at the address it shows.
"""

HTML = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Console</title>
<style>body{font:16px sans-serif;margin:3em;max-width:45em}code{word-break:break-all}</style>
<h1>Console</h1>
<p id="state">Connecting&hellip;</p>
<p>This page shows no picture. Open the address below with noVNC (its setting
<em>path</em>) or another viewer that speaks RFB over WebSocket:</p>
<p><code id="address"></code></p>
<script>
const path = new URLSearchParams(location.search).get("path") || "";
const address = (location.protocol === "https:" ? "wss://" : "ws://") + location.host + "/" + path;
const state = document.getElementById("state");
document.getElementById("address").textContent = address;
const socket = new WebSocket(address, ["binary"]);
socket.binaryType = "arraybuffer";
socket.onmessage = (event) => {
  state.textContent = "The console answers: " + new TextDecoder().decode(event.data).trim();
  socket.close();
};
socket.onclose = (event) => {
  if (event.code >= 4000) { state.textContent = event.reason || "Refused."; }
};
</script></html>
"""
