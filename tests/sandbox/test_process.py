"""A sandbox over a process: idle stops, starts anew, other commands before its program, files that it keeps to."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agentnb.errors import SandboxError
from agentnb.sandbox import bwrap
from agentnb.sandbox.base import Limits, gather
from agentnb.sandbox.bwrap import Bubblewrap
from agentnb.sandbox.idle import Idle
from agentnb.sandbox.launch import Command, Launch, Local
from agentnb.sandbox.process import ProcessSandbox
from tests.sandbox.test_channel import BEGIN

pytestmark = pytest.mark.anyio


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # another process does it
            await asyncio.sleep(0.02)


async def test_what_is_idle_stops_and_comes_back_with_its_files() -> None:
    sandbox = ProcessSandbox(Bubblewrap() if bwrap.unavailable() is None else Local(), Limits(idle=0.1))
    assert not sandbox.running
    await sandbox.files.write("deep/kept.bin", bytes(3_000_000))
    pid = sandbox.pid
    await _until(lambda: not sandbox.running)
    assert not (await sandbox.health()).running
    assert await sandbox.files.read("deep/kept.bin") == bytes(3_000_000)
    assert sandbox.pid != pid
    await sandbox.close()


class Flooding(Local):
    """A program that gives eight times what is asked for where its files are packed, and counts what it gets back."""

    keeps_files = False

    def launch(self, limits: Limits) -> Launch:
        code = """
import base64
say(id=0, done="x")
total = 0
while True:
    asked = heard()
    if asked["op"] == "restore":
        total += len(base64.b64decode(asked["data"]))
    said = {"archive": 3 << 20, "piece": base64.b64encode(bytes(8 << 20)).decode()}
    say(id=asked["id"], done=said.get(asked["op"], {"path": "x", "kind": "file", "size": total}))
"""
        return Launch((sys.executable, "-I", "-c", BEGIN + code), b"")


async def test_no_program_fills_the_disk_of_the_host_where_its_files_are_packed() -> None:
    sandbox = ProcessSandbox(Flooding(), Limits(idle=60))
    assert (await sandbox.files.stat("x")).size == 0
    await sandbox.stop()
    assert (await sandbox.files.stat("x")).size == 3 << 20
    await sandbox.close()


async def test_nothing_stops_while_it_is_busy() -> None:
    stopped: list[bool] = []

    async def stop() -> None:
        stopped.append(True)

    idle = Idle(0.01, stop)
    with idle.busy(), idle.busy():
        await asyncio.sleep(0.05)
        assert stopped == []
    await _until(lambda: bool(stopped))


class Unsteady(Local):
    """Fails to start so many times."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures
        self.launches = 0

    def launch(self, limits: Limits) -> Launch:
        self.launches += 1
        if self.launches <= self.failures:
            return Launch((sys.executable, "-c", "raise SystemExit('not today')"), b"")
        return super().launch(limits)


async def test_a_start_that_fails_is_tried_once_more() -> None:
    steady = ProcessSandbox(Unsteady(1))
    assert await steady.files.list() == []
    await steady.close()
    failing = Unsteady(2)
    with pytest.raises(SandboxError, match="The sandbox ended: not today"):
        await ProcessSandbox(failing).files.list()
    assert failing.launches == 2


async def test_a_program_that_was_killed_is_started_anew() -> None:
    sandbox = ProcessSandbox(Local())
    await gather(sandbox.execute("x = 1", context="main"))
    assert sandbox.pid is not None
    os.kill(sandbox.pid, 9)
    await _until(lambda: not sandbox.running)
    run = await gather(sandbox.execute("'x' in globals()", context="main"))
    assert (run.result, run.stderr) == ("False", "This sandbox was started anew: variables of before are gone.\n")
    await sandbox.close()


async def test_a_command_prefix_is_all_that_a_container_needs(tmp_path: Path) -> None:
    prefix = ("env", "-i", f"PATH={os.environ['PATH']}", sys.executable)
    sandbox = ProcessSandbox(Command(prefix, kind="container", home=str(tmp_path / "home")), Limits(processes=0))
    assert not sandbox.safe
    run = await gather(sandbox.execute("import os; print(os.getcwd(), sorted(os.environ)[:1])"))
    assert run.stdout.startswith(f"{tmp_path}/home [")
    await sandbox.close()


async def test_memory_beyond_the_limit_ends_the_sandbox_and_says_so() -> None:
    sandbox = ProcessSandbox(Local())
    await sandbox.create_context("main")
    sandbox.limits = replace(sandbox.limits, memory=1_000_000)  # what the watch looks at
    error = (await gather(sandbox.execute("import time; time.sleep(30)", context="main"))).error
    assert error is not None
    assert error.name == "SandboxEnded"
    assert "GB of memory, more than" in error.message
    await sandbox.close()


@pytest.mark.parametrize("path", ["../out.txt", "/etc/passwd", "out/passwd", "a/../../out.txt"])
async def test_files_of_an_unsafe_sandbox_stay_in_its_folder(path: str) -> None:
    sandbox = ProcessSandbox(Local())
    await gather(sandbox.execute("ln -s /etc out", "shell"))
    with pytest.raises(SandboxError, match="outside of the sandbox's folder"):
        await sandbox.files.read(path)
    with pytest.raises(SandboxError, match="outside of the sandbox's folder"):
        await sandbox.files.write(path, b"x")
    await sandbox.close()


async def test_a_pipe_is_no_file_and_a_link_is_removed_without_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    sandbox = ProcessSandbox(Local())
    await gather(sandbox.execute(f"mkfifo pipe; ln -s {tmp_path}/kept link", "shell"))
    with pytest.raises(SandboxError, match="pipe is not a file"):
        await sandbox.files.read("pipe")
    with pytest.raises(SandboxError, match="pipe is not a file"):
        await sandbox.files.write("pipe", b"x")
    await sandbox.files.remove("link")
    assert (tmp_path / "kept").is_dir()
    with pytest.raises(SandboxError, match="the home folder itself stays"):
        await sandbox.files.remove(".")
    await sandbox.close()


async def test_nothing_of_an_unsafe_sandbox_is_left_either() -> None:
    sandbox = ProcessSandbox(Local())
    begun = await sandbox.processes.start("sleep 60")
    home = (await sandbox.create_context("here")).cwd
    await sandbox.close()
    assert not Path(home).exists()
    await _until(lambda: not Path(f"/proc/{begun.pid}").exists() or _ended(begun.pid))


def _ended(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


async def test_whatever_fails_inside_is_an_answer() -> None:
    sandbox = ProcessSandbox(Local())
    with pytest.raises(SandboxError, match="do_nonsense"):
        await sandbox.ask("nonsense")
    with pytest.raises(SandboxError, match="No such file or directory"):
        await sandbox.files.read("not/there.txt")
    await sandbox.close()


TWO_LOOPS = """
import asyncio
from agentnb.sandbox.base import gather
from agentnb.sandbox.launch import Local
from agentnb.sandbox.process import ProcessSandbox
sandbox = ProcessSandbox(Local())
async def ask():
    print((await gather(sandbox.execute("6 * 7", context="main"))).result)
async def last():
    await ask()
    await sandbox.close()
asyncio.run(ask())
asyncio.run(last())
"""


def test_a_sandbox_goes_on_where_its_loop_is_gone() -> None:
    # In a process of its own: what the first loop leaves open is told when it is collected, whenever that is.
    ran = subprocess.run([sys.executable, "-c", TWO_LOOPS], capture_output=True, text=True, check=False, timeout=60)
    assert ran.stdout == "42\n42\n", ran.stderr


async def test_a_sandbox_of_another_loop_says_so() -> None:
    sandbox = ProcessSandbox(Local())
    await sandbox.files.list()

    def elsewhere() -> None:
        with pytest.raises(SandboxError, match="belongs to another event loop"):
            asyncio.run(sandbox.files.list())

    await asyncio.to_thread(elsewhere)
    assert await sandbox.files.list() == []
    await sandbox.close()
