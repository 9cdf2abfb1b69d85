"""A server of Ollama's dialect that nobody wrote for our tests: ollama-proxy, in front of llama.cpp's own server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.llama import MODEL, llama_server

_SERVE = """
import socket, sys, threading, uvicorn
from ollama_proxy.server import app

listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
threading.Thread(target=server.run, args=([listening],), daemon=True).start()
sys.stdin.read()
"""


@dataclass(frozen=True)
class OllamaServer:
    """Where it listens, and the name of its one real model."""

    url: str
    model: str = MODEL


@contextmanager
def ollama_server(folder: Path) -> Iterator[OllamaServer]:
    """The two servers, each in its own process on a port that the system chose; the proxy runs in `folder`."""
    if find_spec("ollama_proxy") is None:
        pytest.skip("needs the package ollama-proxy-plus")
    with llama_server() as llama:
        settings = {
            # Whom the proxy asks for models whose names say nothing else.
            "PROVIDERS_OPENAI_API_KEY": llama.key,
            "PROVIDERS_OPENAI_BASE_URL": f"{llama.url}/v1",
            "EXTRA_MODELS": MODEL,
        }
        command = [sys.executable, "-c", _SERVE]
        pipe, environ = subprocess.PIPE, os.environ | settings
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=folder, env=environ) as process:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            assert port, "the server did not start"
            try:
                yield OllamaServer(f"http://127.0.0.1:{port}")
            finally:
                process.kill()
