"""What a model can do in a code interpreter, verb by verb: the words of each are what the model reads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from pathlib import PurePosixPath
from typing import Literal, Protocol

from agentnb import sniff
from agentnb.errors import SandboxError, ToolError
from agentnb.messages import Content, Image, Text
from agentnb.render.terminal import clip
from agentnb.sandbox.base import MIB, Entry, Execution, Failed, Output, Printed, Process, Sandbox, Shown, joined
from agentnb.sandbox.outputs import PICTURES
from agentnb.tools.base import ToolContext, ToolReturn

#: Characters of a text that a model is given at once.
_LONGEST = 30_000
_LONGEST_FILE = 32 * MIB
_MOST_PICTURES = 8


class HostFolder(Protocol):
    """The folder of the host that files come from and go to; it lets no path out."""

    def read(self, path: str, most: int) -> bytes:
        """A file's bytes. Raises ToolError."""

    def exists(self, path: str) -> bool:
        """Whether there is something of this name. Raises ToolError."""

    def write(self, path: str, content: bytes) -> object:
        """Write a file. Raises ToolError."""


class Interpreter:
    """The verbs, over the sandbox that `source` opens."""

    def __init__(self, source: Callable[[], Sandbox], folder: HostFolder | None = None) -> None:
        self._source = source
        self._folder = folder

    async def health(self) -> str:
        """Say how the sandbox is: whether it runs, how many contexts it has, whether it has the network."""
        health = await self._source().health()
        state = "running" if health.running else "not started yet (the first call starts it)"
        network = "with" if health.network else "without"
        return f"{health.kind}: {state}, {network} network, {health.contexts} contexts. {health.detail}".strip()

    async def run_code(
        self,
        call: ToolContext,
        code: str,
        language: Literal["python", "shell"] = "python",
        context: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # it bounds the code, not the wait
    ) -> ToolReturn:
        """Run code in an isolated sandbox.

        Gives what it prints, its last value, its plots, and the error if it fails.

        The sandbox has files of its own and usually no network; notebook variables are not in it.

        Args:
            code: Python (as in a notebook cell) or shell commands.
            language: What the code is.
            context: The context to run in; its variables are kept for the next call. Without one, nothing is.
            timeout: Seconds after which it is stopped; at most an hour.
        """
        if timeout is not None and not 0 < timeout <= 3600:
            raise ToolError("timeout is a number of seconds, more than 0 and at most 3600")
        return await run(self._source(), call, code, language, context, timeout)

    async def list_contexts(self) -> str:
        """List the contexts: kernels, each with variables and a working folder of its own."""
        found = await self._source().contexts()
        return "\n".join(f"{each.name}  {each.cwd}{'  (busy)' * each.busy}" for each in found) or "There are none."

    async def create_context(self, name: str | None = None, cwd: str | None = None) -> str:
        """Start a context: variables stay in it from one run_code to the next.

        Args:
            name: What to call it; letters, digits, - and _.
            cwd: The folder to begin in.
        """
        made = await self._source().create_context(name, cwd)
        return f"{made.name} is ready, in {made.cwd}."

    async def get_context(self, name: str) -> str:
        """Say how one context is."""
        found = {each.name: each for each in await self._source().contexts()}
        if name not in found:
            raise SandboxError(f"there is no context {name!r}")
        return f"{name}: {'busy' if found[name].busy else 'idle'}, in {found[name].cwd}"

    async def delete_context(self, name: str) -> str:
        """End a context; its variables are gone, files stay."""
        await self._source().delete_context(name)
        return f"{name} is ended."

    async def read_file(self, path: str) -> ToolReturn:
        """Read a file of the sandbox: text, or a picture."""
        data = await self._source().files.read(path, _LONGEST_FILE)
        return ToolReturn((_as_content(path, data),))

    async def write_file(self, path: str, content: str) -> str:
        """Write a text file in the sandbox; one that is there is replaced."""
        data = content.encode("utf-8", "replace")
        await self._source().files.write(path, data)
        return f"{path}: {len(data):,} bytes written."

    async def file_system_list(self, path: str = ".") -> str:
        """List a folder of the sandbox."""
        return "\n".join(map(described, await self._source().files.list(path))) or "It is empty."

    async def file_system_stat(self, path: str) -> str:
        """Say what a path of the sandbox is, how large, and when it was changed."""
        return described(await self._source().files.stat(path))

    async def file_system_mkdir(self, path: str) -> str:
        """Make a folder in the sandbox, and those above it."""
        await self._source().files.mkdir(path)
        return f"{path} is there."

    async def file_system_move(self, source: str, target: str) -> str:
        """Move or rename a file or folder of the sandbox; nothing is replaced."""
        await self._source().files.move(source, target)
        return f"{source} is now {target}."

    async def file_system_remove(self, path: str) -> str:
        """Delete a file of the sandbox, or a folder with all that is in it."""
        await self._source().files.remove(path)
        return f"{path} is gone."

    async def file_system_upload(self, source: str, target: str | None = None) -> str:
        """Copy a file of the workspace folder into the sandbox.

        Args:
            source: A path inside the workspace folder.
            target: Where to put it in the sandbox (by its name in the home folder, if not given).
        """
        data = self._host().read(source, _LONGEST_FILE)
        place = target or PurePosixPath(source).name
        await self._source().files.write(place, data)
        return f"{place}: {len(data):,} bytes copied in."

    async def file_system_download(self, source: str, target: str | None = None) -> str:
        """Copy a file of the sandbox into the workspace folder.

        Args:
            source: A path in the sandbox.
            target: Where to put it inside the workspace folder (by its name, if not given).
        """
        return self.copied_out(*await self.outgoing(source, target))

    async def outgoing(self, source: str, target: str | None = None) -> tuple[str, bytes]:
        """Where a file of the sandbox would be copied to, and what is in it. Raises SandboxError."""
        data = await self._source().files.read(source, _LONGEST_FILE)
        return target or PurePosixPath(source).name, data

    def copied_out(self, place: str, data: bytes) -> str:
        """Write what came out of the sandbox into the workspace folder. Raises ToolError."""
        self._host().write(place, data)
        return f"{place}: {len(data):,} bytes copied out."

    def described_copy(self, place: str, data: bytes) -> tuple[Content, ...]:
        """What a person is shown before that: what is in it, and whether it replaces something. Raises ToolError."""
        replaces = ", in the place of what is there" if self._host().exists(place) else ""
        try:
            content = _as_content(place, data)
        except SandboxError:
            content = Text("(neither text nor a picture)")
        return Text(f"{place}, {len(data):,} bytes{replaces}:"), content

    async def process_exec(self, command: str, cwd: str | None = None) -> str:
        """Start a shell command in the sandbox that goes on beside other calls, such as a server.

        Args:
            command: The command, for bash.
            cwd: The folder to start it in.
        """
        return told(await self._source().processes.start(command, cwd))

    async def process_list(self) -> str:
        """List the processes that process_exec started."""
        return "\n".join(map(told, await self._source().processes.list())) or "None was started."

    async def process_get(self, pid: int) -> str:
        """Say how a process is, and give the end of what it wrote."""
        found = await self._source().processes.get(pid)
        return clip(f"{told(found)}\n{found.output}".rstrip(), _LONGEST)

    async def process_kill(self, pid: int) -> str:
        """End a process, and what it has started."""
        return told(await self._source().processes.kill(pid))

    def _host(self) -> HostFolder:
        if self._folder is None:
            raise ToolError("this sandbox has no workspace folder")
        return self._folder


async def run(
    sandbox: Sandbox,
    call: ToolContext,
    code: str,
    language: Literal["python", "shell"] = "python",
    name: str | None = None,
    timeout: float | None = None,  # noqa: ASYNC109  # it bounds the code, not the wait
) -> ToolReturn:
    """Run code, show what it gives as it comes, and give all of it for the model."""
    outputs: list[Output] = []
    async with aclosing(sandbox.execute(code, language, context=name, timeout=timeout)) as arriving:
        async for output in arriving:
            outputs.append(output)
            for block in _blocks(output):
                call.emit(block)
    return returned(joined(outputs))


def returned(run: Execution) -> ToolReturn:
    """What a model is told of an execution."""
    parts = [run.stdout.rstrip("\n"), run.stderr.rstrip("\n"), run.result or ""]
    if run.error is not None:
        parts.append(run.error.traceback[-4000:] or str(run.error))
        if str(run.error) not in parts[-1]:
            parts.append(str(run.error))
    text = clip("\n".join(filter(None, parts)), _LONGEST)
    pictures = run.images[:_MOST_PICTURES]
    content: tuple[Content, ...] = ((Text(text),) if text else ()) + pictures
    return ToolReturn(content or (Text("(no output)"),), is_error=run.error is not None)


def _blocks(output: Output) -> tuple[Content, ...]:
    match output:
        case Printed(text):
            return (Text(text),)
        case Shown(content):
            return tuple(Text(block.text + "\n") if isinstance(block, Text) else block for block in content)
        case Failed():
            return (Text(f"{output.traceback or output}\n"),)
    return ()


def _as_content(path: str, data: bytes) -> Content:
    kind = sniff.media_type(data)
    if kind in PICTURES:
        return Image(data, kind, alt=path)
    try:
        return Text(clip(data.decode("utf-8"), _LONGEST))
    except UnicodeDecodeError:
        raise SandboxError(f"{path} is neither text nor a picture ({len(data):,} bytes)") from None


def described(entry: Entry) -> str:
    """A file in a line."""
    mark = {"directory": "/", "link": "@"}.get(entry.kind, "")
    return f"{entry.path}{mark}" if entry.kind == "directory" else f"{entry.path}{mark}  {entry.size:,} bytes"


def told(process: Process) -> str:
    """A process in a line."""
    state = "running" if process.running else f"ended with {process.code}"
    return f"{process.pid}  {state}  {process.command}"
