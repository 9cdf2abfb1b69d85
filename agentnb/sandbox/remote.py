"""A sandbox on a Jupyter server, here or elsewhere: its kernels run the code, its contents are the files."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

from agentnb.errors import SandboxError
from agentnb.messages import JSON, JSONObject
from agentnb.sandbox.base import MIB, Context, Failed, Health, Language, Limits, Output, Printed, named
from agentnb.sandbox.guest_kernels import Stop
from agentnb.sandbox.idle import Idle
from agentnb.sandbox.jupyter_server import Message, RemoteKernel, Server
from agentnb.sandbox.outputs import parse_output
from agentnb.sandbox.process import ANEW, verdict
from agentnb.sandbox.remote_files import RemoteFiles
from agentnb.sandbox.served import ServedProcesses

_VALUE: JSONObject = {"value": "__import__('json').dumps(_)"}
#: Runs shell commands in the kernel, its output shown as it comes.
_SHELL = "get_ipython().run_cell_magic('script', 'bash', {code!r})"
#: A kernel that prints without end drowns the server, and what tells it to stop: it stops by itself.
_BOUND = """
def _bound():
    import sys
    class OutputLimit(Exception): pass
    left = [0]
    def bounded(stream):
        write = stream.write
        def wrapped(text):
            left[0] -= len(text)
            if left[0] < 0:
                raise OutputLimit("stopped after {most} bytes of output")
            return write(text)
        wrapped.bounded = True
        stream.write = wrapped
    def begin(*_):
        # IPython puts its own `write` back after each cell.
        left[0] = {most}
        for stream in (sys.stdout, sys.stderr):
            if not hasattr(stream.write, "bounded"):
                bounded(stream)
    get_ipython().events.register("pre_run_cell", begin)
_bound()
del _bound
"""
#: Makes the program's own keeper of processes in a kernel, from its source.
_PROCESSES = """
import json, sys, types
for name, source in json.loads({sources!r}):
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
_agentnb = sys.modules["agentnb.sandbox.guest_processes"].Processes(".")
"""
_ASK = """
import inspect, json
_done = getattr(_agentnb, {op!r})(**json.loads({given!r}))
print(json.dumps(await _done if inspect.isawaitable(_done) else _done))
"""


class Remote:
    """Kernels of a Jupyter server. Its limits are the server's own; time and output are bounded here as well."""

    kind = "remote"
    safe = False

    def __init__(self, url: str, *, token: str | None = None, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._server = Server(url, token)
        self.files = RemoteFiles(self._server)
        self.processes = ServedProcesses(self._ask)
        self._kernels: dict[str, RemoteKernel] = {}
        self._known: set[str] = set()
        self._keeper: RemoteKernel | None = None
        self._idle = Idle(self.limits.idle, self.stop)
        self._closed = False

    async def health(self) -> Health:
        status = await self._server.request("GET", "status")
        kernels = status.get("kernels") if isinstance(status, dict) else None
        count = len(self._kernels)
        return Health(self.kind, True, True, count, f"{self._server.name}, {kernels} kernels in all")

    async def create_context(self, name: str | None = None, cwd: str | None = None) -> Context:
        if name is None:
            name = next(f"context-{n}" for n in range(1, len(self._kernels) + 2) if f"context-{n}" not in self._kernels)
        if named(name) in self._kernels:
            raise SandboxError(f"there is a context {name!r} already")
        if cwd:
            await self.files.mkdir(cwd)
        self._kernels[name] = await self._start(cwd)
        self._known.add(name)
        return Context(name, cwd or ".")

    async def contexts(self) -> list[Context]:
        found = await self._server.request("GET", "kernels")
        alive = {str(each.get("id")) for each in found if isinstance(each, dict)} if isinstance(found, list) else set()
        for name in [name for name, kernel in self._kernels.items() if kernel.id not in alive]:
            del self._kernels[name]
        return [Context(name, busy=kernel.lock.locked()) for name, kernel in self._kernels.items()]

    async def delete_context(self, name: str) -> None:
        if name not in self._kernels:
            raise SandboxError(f"there is no context {name!r}")
        self._known.discard(name)
        await self._kernels.pop(name).close()

    async def interrupt(self, context: str) -> None:
        kernel = self._kernels.get(context)
        if kernel is not None and kernel.stop is not None:
            kernel.stop.ask("Interrupted", "stopped by the person")

    async def execute(
        self,
        code: str,
        language: Language = "python",
        *,
        context: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # it bounds the code, not the wait
        value: bool = False,
    ) -> AsyncGenerator[Output, None]:
        kernel, anew = await self._kernel(context)
        if anew:
            yield Printed(ANEW, "stderr")
        stop = Stop(self.limits.seconds if timeout is None else timeout, self.limits.output)
        if language == "shell":
            code = _SHELL.format(code=code)
        asked = _VALUE if value and language == "python" else {}
        try:
            with self._idle.busy():
                async with aclosing(_outputs(kernel.execute(code, stop, asked), stop)) as outputs:
                    async for output in outputs:
                        yield output
        finally:
            if context is None:
                await kernel.close()

    async def stop(self) -> None:
        """End its kernels; files stay on the server."""
        self._idle.cancel()
        kernels = [*self._kernels.values(), *([self._keeper] if self._keeper else [])]
        self._kernels, self._keeper = {}, None
        for kernel in kernels:
            with contextlib.suppress(SandboxError):  # it is gone already, or the server is
                await kernel.close()

    async def close(self) -> None:
        self._closed = True
        await self.stop()
        await self._server.close()

    async def _kernel(self, context: str | None) -> tuple[RemoteKernel, bool]:
        """The kernel of a context, or one of its own; and whether it lost its variables since it was last used."""
        if self._closed:
            raise SandboxError("This sandbox is closed.")
        if context is None:
            return await self._start(None), False
        names = {each.name for each in await self.contexts()}
        if named(context) not in names:
            self._kernels[context] = await self._start(None)
        anew = context in self._known and context not in names
        self._known.add(context)
        return self._kernels[context], anew

    async def _start(self, cwd: str | None) -> RemoteKernel:
        made = await self._server.request("POST", "kernels", {"name": "python3", "path": cwd or ""})
        if not isinstance(made, dict) or "id" not in made:
            raise SandboxError(f"{self._server.name} made no kernel.")
        kernel = RemoteKernel(self._server, str(made["id"]))
        await self._say(kernel, _BOUND.format(most=self.limits.output))
        return kernel

    async def _ask(self, op: str, /, **given: JSON) -> JSON:
        """Have the processes' own program do something, in a kernel beside the contexts."""
        with self._idle.busy():
            if self._keeper is None:
                self._keeper = await self._start(None)
                await self._say(self._keeper, _PROCESSES.format(sources=json.dumps(_sources())))
            call = _ASK.format(op=op.partition(".")[2], given=json.dumps(given))
            try:
                return json.loads(await self._say(self._keeper, call))  # type: ignore[no-any-return]  # JSON it is
            except ValueError:
                raise SandboxError("The sandbox answered what makes no sense.") from None

    async def _say(self, kernel: RemoteKernel, code: str) -> str:
        printed = ""
        stop = Stop(30, 4 * MIB)
        async with aclosing(_outputs(kernel.execute(code, stop), stop)) as outputs:
            async for output in outputs:
                match output:
                    case Printed(text, "stdout"):
                        printed += text
                    case Failed():
                        self._keeper = None if output.name == "KernelDied" else self._keeper
                        raise SandboxError(output.message or output.name)
        return printed


async def _outputs(messages: AsyncGenerator[Message, None], stop: Stop) -> AsyncGenerator[Output, None]:
    failures: list[Failed] = []
    valued: Output | None = None
    async with aclosing(messages) as arriving:
        async for kind, content in arriving:
            if kind == "execute_reply":
                valued = _answered(content)
                if content.get("status") in ("aborted", "abort"):  # dropped unrun: the server restarted the kernel
                    failures.append(Failed("KernelDied", "the kernel was restarted before this ran; run it again"))
                continue
            if kind == "stream":
                content = {**content, "text": stop.admit(str(content.get("text")))}
            elif kind in ("display_data", "execute_result") and not stop.admit(json.dumps(content)):
                continue
            output = parse_output(kind, content)
            if isinstance(output, Failed):
                failures.append(_plain(output))
            elif output is not None:
                yield output
    if valued is not None:
        yield valued
    if failures:
        yield verdict(failures)


def _answered(content: JSONObject) -> Output | None:
    """The value that was asked for."""
    asked = content.get("user_expressions")
    value = asked.get("value") if isinstance(asked, dict) else None
    return parse_output("value", value) if isinstance(value, dict) else None


def _plain(failed: Failed) -> Failed:
    """A shell command that failed, without the kernel's way of saying so."""
    code = re.search(r"exit status (-?\d+)", failed.message) if failed.name == "CalledProcessError" else None
    return Failed(f"Exit code {code[1]}", "") if code else failed


def _sources() -> list[list[str]]:
    from importlib import resources

    package = resources.files("agentnb.sandbox")
    modules = ("guest_files", "guest_processes")
    return [[f"agentnb.sandbox.{name}", (package / f"{name}.py").read_text("utf-8")] for name in modules]
