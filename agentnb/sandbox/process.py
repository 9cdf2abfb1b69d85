"""A sandbox over a program in a process of its own: in bubblewrap, in a container, or (unsafe) just so."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import IO

from agentnb.errors import SandboxError
from agentnb.messages import JSON
from agentnb.sandbox import watch
from agentnb.sandbox.base import Context, Failed, Health, Language, Limits, Output, Printed, named
from agentnb.sandbox.channel import Channel, Died
from agentnb.sandbox.idle import Idle
from agentnb.sandbox.launch import Launcher
from agentnb.sandbox.outputs import parse_output
from agentnb.sandbox.served import PIECE, ServedFiles, ServedProcesses, decoded, parse_context

#: Seconds between two looks at what a sandbox uses.
_WATCH = 0.2
#: Every how many looks it is asked whether it answers at all, and for how many seconds it may not.
_ASK_EVERY = 10
_PATIENCE = 10.0
#: Said before the first output of a context that has lost its variables.
ANEW = "This sandbox was started anew: variables of before are gone.\n"


class ProcessSandbox:
    """What a launcher starts. Memory is watched from outside; files outlast an idle stop, variables do not."""

    def __init__(self, launcher: Launcher, limits: Limits | None = None) -> None:
        self.launcher = launcher
        self.limits = limits or Limits()
        self.files = ServedFiles(self.ask)
        self.processes = ServedProcesses(self.ask)
        self._channel: Channel | None = None
        self._starting = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self._idle = Idle(self.limits.idle, self.stop)
        #: Contexts that a person knows of: they come back, without their variables.
        self._known: set[str] = set()
        self._packed: IO[bytes] | None = None
        self._closed = False

    @property
    def kind(self) -> str:
        return self.launcher.kind

    @property
    def safe(self) -> bool:
        return self.launcher.safe

    @property
    def running(self) -> bool:
        """Whether the program runs now."""
        return self._channel is not None and self._channel.alive

    @property
    def pid(self) -> int | None:
        """The process on this machine, where it runs."""
        return self._channel.pid if self._channel is not None and self._channel.alive else None

    async def health(self) -> Health:
        if not self.running:
            return Health(self.kind, False, self.launcher.network)
        used = watch.used(self.pid, self.limits.memory) if self.pid else 0
        count = len(await self.contexts())
        return Health(self.kind, True, self.launcher.network, count, f"{used / 1e6:,.0f} MB of memory")

    async def create_context(self, name: str | None = None, cwd: str | None = None) -> Context:
        if name is None:
            taken = {context.name for context in await self.contexts()}
            name = next(f"context-{n}" for n in range(1, len(taken) + 2) if f"context-{n}" not in taken)
        made = parse_context(await self.ask("create", name=named(name), cwd=cwd))
        self._known.add(made.name)
        return made

    async def contexts(self) -> list[Context]:
        if not self.running:
            return []
        found = await self.ask("contexts")
        return [parse_context(each) for each in found] if isinstance(found, list) else []

    async def delete_context(self, name: str) -> None:
        self._known.discard(name)
        await self.ask("delete", name=name)

    async def interrupt(self, context: str) -> None:
        if self.running:
            await self.ask("stop", context=context)

    async def execute(
        self,
        code: str,
        language: Language = "python",
        *,
        context: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # it bounds the code, not the wait
        value: bool = False,
    ) -> AsyncGenerator[Output, None]:
        if context is not None:
            named(context)
        async with self._use() as channel:
            if context in self._known and context not in {each.name for each in await self.contexts()}:
                yield Printed(ANEW, "stderr")
            if context is not None:
                self._known.add(context)
            outputs = self._outputs(
                channel, code=code, language=language, context=context, value=value,
                seconds=self.limits.seconds if timeout is None else timeout, limit=self.limits.output,
            )  # fmt: skip
            async with aclosing(outputs):
                async for output in outputs:
                    yield output

    async def _outputs(self, channel: Channel, **given: JSON) -> AsyncGenerator[Output, None]:
        failures: list[Failed] = []
        left = 2 * self.limits.output
        try:
            async with aclosing(channel.stream("execute", **given)) as messages:
                async for kind, content in messages:
                    output = parse_output(kind, content)
                    if isinstance(output, Failed):
                        failures.append(output)
                    elif output is not None:
                        left -= len(str(content))
                        if left < 0:
                            channel.kill("it sent more than it may")
                        yield output
        except Died as error:
            failures.append(Failed("SandboxEnded", f"{error} The next call starts a new one; variables are gone."))
        if failures:
            yield verdict(failures)

    async def ask(self, op: str, /, **given: JSON) -> JSON:
        """What the program answers; it is started where it does not run. Raises SandboxError."""
        async with self._use() as channel:
            return await channel.ask(op, **given)

    async def stop(self) -> None:
        """End the program; its files are kept, and come back with the next call."""
        async with self._starting:
            if self.running and not self.launcher.keeps_files:
                with contextlib.suppress(SandboxError, TimeoutError):
                    async with asyncio.timeout(30):
                        await self._pack()
            await self._end()

    async def close(self) -> None:
        self._closed = True
        async with self._starting:
            await self._end()
        if self._packed is not None:
            self._packed.close()
            self._packed = None
        self.launcher.close()

    @contextlib.asynccontextmanager
    async def _use(self) -> AsyncIterator[Channel]:
        """The running program, for the time of a call; it is not idle meanwhile."""
        channel = await self._running()
        with self._idle.busy():
            yield channel

    async def _running(self) -> Channel:
        async with self._starting:
            if self._closed:
                raise SandboxError("This sandbox is closed.")
            if self._channel is not None and self._channel.alive:
                if self._channel.loop is not asyncio.get_running_loop():
                    raise SandboxError("This sandbox belongs to another event loop. Open one for this loop.")
                return self._channel
            await self._end()
            try:
                channel = await self._open()
            except Died:
                channel = await self._open()  # once more: a start may fail for want of memory or processes
            self._watching = asyncio.create_task(self._watch(channel))
            return channel

    async def _open(self) -> Channel:
        self._channel = channel = await Channel.open(self.launcher.launch(self.limits))
        if self._packed is not None:
            self._packed.seek(0)
            piece = self._packed.read(PIECE)
            while piece:
                following = self._packed.read(PIECE)
                await channel.ask("restore", data=b64encode(piece).decode(), last=not following)
                piece = following
        return channel

    async def _pack(self) -> None:
        assert self._channel is not None
        size = await self._channel.ask("archive")
        # Packed inside; out here it is never opened, only handed back.
        packed = tempfile.TemporaryFile()  # noqa: SIM115  # it lives until the next start
        for offset in range(0, min(size if isinstance(size, int) else 0, 2 * self.limits.disk), PIECE):
            piece = decoded(await self._channel.ask("piece", offset=offset, size=PIECE))
            packed.write(piece[:PIECE])  # whatever comes instead, no more than was asked for
        self._packed, before = packed, self._packed
        if before is not None:
            before.close()

    async def _end(self) -> None:
        self._idle.cancel()
        if self._watching is not None:
            self._watching.cancel()
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def _watch(self, channel: Channel) -> None:
        watched = 0
        while channel.alive:
            await asyncio.sleep(_WATCH)
            watched += 1
            if watched % _ASK_EVERY == 0:
                await self._ask_whether_it_answers(channel)
            if not channel.alive:
                return
            # In a thread: with many processes it takes a while, and the loop must go on.
            if why := await asyncio.to_thread(self._excess, channel.pid):
                channel.kill(why)

    async def _ask_whether_it_answers(self, channel: Channel) -> None:
        """Code inside may have stopped the program: nothing would ever end."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await channel.ask("contexts")
        except TimeoutError:
            channel.kill(f"it has not answered for {_PATIENCE:g} s")
        except SandboxError:
            pass  # it has ended

    def _excess(self, pid: int) -> str:
        """What the sandbox uses too much of, if anything."""
        used = watch.used(pid, self.limits.memory)
        if used > self.limits.memory:
            return f"it used {used / 1e9:.1f} GB of memory, more than {self.limits.memory / 1e9:.1f} GB"
        if self.kind != "bwrap":
            return ""
        last = list(watch.descendants(pid))[-1]
        count = watch.files(last, ("/home", "/tmp", "/dev/shm"))
        return f"it made more than {watch.MOST_FILES:,} files" if count > watch.MOST_FILES else ""


def verdict(failures: list[Failed]) -> Failed:
    """One failure of several: a kernel that is interrupted says so, and then it is said why."""
    last = failures[-1]
    died = next((each for each in failures if each.name == "KernelDied"), None)
    if died is not None and died is not last:
        return Failed(last.name, f"{last.message}; {died.message}")
    return last
