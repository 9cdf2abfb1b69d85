"""Has the test that waits at $CONFORMANCE_SOCKET be the client: to start it anew for each scenario takes a minute."""

from __future__ import annotations

import json
import os
import socket
import sys

with socket.socket(socket.AF_UNIX) as there:
    there.connect(os.environ["CONFORMANCE_SOCKET"])
    there.sendall(json.dumps([sys.argv[1], os.environ.get("MCP_CONFORMANCE_CONTEXT", "")]).encode() + b"\n")
    sys.stdout.write(there.makefile().read())
