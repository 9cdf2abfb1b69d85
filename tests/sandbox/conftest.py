"""Sandboxes for tests: each kind started once a module, on a loop of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from agentnb.jobs import LoopThread
from agentnb.sandbox import bwrap
from agentnb.sandbox.base import Execution, Limits, Sandbox, gather
from agentnb.sandbox.launch import Launcher
from agentnb.sandbox.process import ProcessSandbox

T = TypeVar("T")

needs_bwrap = pytest.mark.skipif(bwrap.unavailable() is not None, reason=str(bwrap.unavailable()))


class Box:
    """A sandbox on a loop thread, for tests that are plain functions."""

    def __init__(self, loop: LoopThread, sandbox: Sandbox) -> None:
        self.loop = loop
        self.sandbox = sandbox

    def wait(self, work: Callable[[Sandbox], Coroutine[object, object, T]], within: float = 60) -> T:
        """What a coroutine over the sandbox gives."""
        return asyncio.run_coroutine_threadsafe(work(self.sandbox), self.loop.loop).result(within)

    def run(self, code: str, **options: object) -> Execution:
        """Run code in the context `main`, and wait for its end."""
        options.setdefault("context", "main")
        execute: Callable[..., AsyncGenerator[object, None]] = self.sandbox.execute
        return self.wait(lambda _: gather(execute(code, **options)))

    def shell(self, code: str, **options: object) -> Execution:
        """Run a shell command."""
        return self.run(code, language="shell", **options)


def started(launcher: Launcher, limits: Limits | None = None) -> Iterator[Box]:
    """A box over what a launcher starts, for the time of a fixture."""
    return boxed(ProcessSandbox(launcher, limits))


def boxed(sandbox: Sandbox) -> Iterator[Box]:
    """A box, for the time of a fixture."""
    loop = LoopThread("sandboxes")
    box = Box(loop, sandbox)
    yield box
    box.wait(lambda sandbox: sandbox.close())
    loop.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def jupyter_server(folder: Path) -> Iterator[tuple[str, str]]:
    """A real Jupyter server over a folder: its address and token."""
    port, token = _free_port(), "a-token-for-tests"
    argv = [
        sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", "--ip=127.0.0.1",
        f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={folder}", "--FileContentsManager.delete_to_trash=False",
    ]  # fmt: skip
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env = {**kept, "JUPYTER_CONFIG_DIR": str(folder / ".config"), "JUPYTER_DATA_DIR": str(folder / ".data"),
           "JUPYTER_RUNTIME_DIR": str(folder / ".run"), "JUPYTER_PLATFORM_DIRS": "1"}  # fmt: skip
    log = folder / ".log"
    with open(log, "wb") as out, subprocess.Popen(argv, env=env, stdout=out, stderr=out) as server:
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(300):
                with suppress(httpx.TransportError):
                    if httpx.get(f"{url}/api/status", headers={"Authorization": f"token {token}"}).is_success:
                        break
                assert server.poll() is None, log.read_text()
                threading.Event().wait(0.1)
            yield url, token
        finally:
            server.terminate()
            server.wait(10)
