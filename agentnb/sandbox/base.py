"""The interface every code interpreter has, whatever it runs in: contexts, execution, files, processes.

Three are here: `bwrap` (a Jupyter kernel in bubblewrap), `local` (one in a plain subprocess, unsafe) and `remote` (a
Jupyter server). A container is one more command prefix for the first kind: see `process.ProcessSandbox`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from agentnb.errors import SandboxError
from agentnb.messages import JSON, Content, Image, Text

Language: TypeAlias = Literal["python", "shell"]
#: What a path is.
Kind: TypeAlias = Literal["file", "directory", "link", "other"]

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """What a sandbox may use.

    `memory` is bytes of all its processes together, `disk` bytes of its files (they live in memory too, beside
    `memory`), `output` bytes that one execution may show, `processes` counts threads as well, `cpu_seconds` holds for
    each process, `seconds` is how long one execution may take where it says nothing else, `idle` after how many
    seconds without a call the sandbox is stopped.
    """

    memory: int = 2 * GIB
    disk: int = 512 * MIB
    output: int = 4 * MIB
    processes: int = 256
    cores: int = 2
    cpu_seconds: int = 3600
    seconds: float = 60.0
    idle: float = 600.0


@dataclass(frozen=True, slots=True)
class Printed:
    """Text that the code wrote."""

    text: str
    stream: Literal["stdout", "stderr"] = "stdout"


@dataclass(frozen=True, slots=True)
class Shown:
    """What the code displayed: a plot, or (`is_result`) the value of its last line."""

    content: tuple[Content, ...]
    is_result: bool = False


@dataclass(frozen=True, slots=True)
class Valued:
    """The value of the last line, as JSON; comes last, where `execute` was asked for it and JSON can hold it."""

    value: JSON


@dataclass(frozen=True, slots=True)
class Failed:
    """The code did not end well: an exception of its own, or a limit. Nothing but a `Valued` may follow."""

    name: str
    message: str
    traceback: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" if self.message else self.name


Output: TypeAlias = Printed | Shown | Valued | Failed


@dataclass(frozen=True, slots=True)
class Execution:
    """All that one execution gave."""

    stdout: str = ""
    stderr: str = ""
    result: str | None = None
    images: tuple[Image, ...] = ()
    error: Failed | None = None
    value: JSON = None
    outputs: tuple[Output, ...] = field(default=(), repr=False)


async def gather(outputs: AsyncIterable[Output]) -> Execution:
    """Wait for the end of an execution."""
    return joined([output async for output in outputs])


def joined(outputs: Sequence[Output]) -> Execution:
    """What these outputs say together."""
    printed = {"stdout": "", "stderr": ""}
    result: str | None = None
    error: Failed | None = None
    value: JSON = None
    images: list[Image] = []
    for output in outputs:
        match output:
            case Printed(text, stream):
                printed[stream] += text
            case Shown(content, is_result):
                images += (block for block in content if isinstance(block, Image))
                if is_result:
                    result = "".join(block.text for block in content if isinstance(block, Text))
            case Valued(value):
                pass
            case Failed():
                error = output
    return Execution(printed["stdout"], printed["stderr"], result, tuple(images), error, value, tuple(outputs))


@dataclass(frozen=True, slots=True)
class Context:
    """One kernel: variables and a working folder of its own."""

    name: str
    cwd: str = ""
    busy: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a sandbox; `modified` is seconds since 1970."""

    path: str
    kind: Kind
    size: int = 0
    modified: float = 0.0


@dataclass(frozen=True, slots=True)
class Process:
    """A process that was started; `output` is the last of what it wrote, `code` its exit code once it has ended."""

    pid: int
    command: str
    running: bool
    code: int | None = None
    output: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """How a sandbox is: `running` says whether it has been started (the next call starts it)."""

    kind: str
    running: bool
    network: bool
    contexts: int = 0
    detail: str = ""


class Files(Protocol):
    """The files of a sandbox; relative paths begin in its home. Every method raises SandboxError."""

    async def read(self, path: str, limit: int = 64 * MIB) -> bytes:
        """A file's bytes; one larger than `limit` is refused."""

    async def write(self, path: str, data: bytes) -> None:
        """Write a file; one that is there is replaced, folders that are missing are made."""

    async def list(self, path: str = ".") -> list[Entry]:
        """What a folder holds, by name."""

    async def stat(self, path: str) -> Entry:
        """What a path is."""

    async def mkdir(self, path: str) -> None:
        """Make a folder, and those above it that are missing."""

    async def move(self, source: str, target: str) -> None:
        """Rename; a file at the target is refused."""

    async def remove(self, path: str) -> None:
        """Delete a file, or a folder with all that is in it."""


class Processes(Protocol):
    """Processes that go on beside executions. Every method raises SandboxError."""

    async def start(self, command: str, cwd: str | None = None) -> Process:
        """Start a shell command, without waiting for it."""

    async def list(self) -> list[Process]:
        """Those that were started, without their output."""

    async def get(self, pid: int) -> Process:
        """One of them, with the end of its output."""

    async def kill(self, pid: int) -> Process:
        """End one, and what it has started."""


class Sandbox(Protocol):
    """A code interpreter. It starts at the first call, stops when idle, and starts anew after a failure.

    It belongs to the event loop that first used it.
    """

    @property
    def kind(self) -> str:
        """bwrap, local or remote."""

    @property
    def safe(self) -> bool:
        """Whether code in it can reach nothing outside: then a tool that runs code there needs nobody's word."""

    @property
    def limits(self) -> Limits: ...

    @property
    def files(self) -> Files: ...

    @property
    def processes(self) -> Processes: ...

    async def health(self) -> Health:
        """How it is; starts nothing."""

    async def create_context(self, name: str | None = None, cwd: str | None = None) -> Context:
        """Start a kernel. Raises SandboxError for a name that is taken."""

    async def contexts(self) -> list[Context]:
        """The kernels there are."""

    async def delete_context(self, name: str) -> None:
        """End a kernel. Raises SandboxError for one that is not there."""

    def execute(
        self,
        code: str,
        language: Language = "python",
        *,
        context: str | None = None,
        timeout: float | None = None,
        value: bool = False,
    ) -> AsyncGenerator[Output, None]:
        """Run code, and yield what it gives as it comes; closing the generator stops the code.

        `context` that is not there is started; without one, the code runs in a kernel that is gone afterwards.
        `timeout` is in seconds; `value` asks for the last line's value as JSON. Code that fails yields Failed; raises
        SandboxError where the sandbox itself does.
        """

    async def interrupt(self, context: str) -> None:
        """Stop what runs in a context, and keep the context."""

    async def stop(self) -> None:
        """End all that runs in it; files are kept where the sandbox can keep them, and the next call starts it."""

    async def close(self) -> None:
        """End it for good."""


def named(name: str) -> str:
    """`name`, if it can be a context's. Raises SandboxError."""
    if not (name.replace("-", "").replace("_", "").isalnum() and name.isascii() and len(name) <= 64):
        raise SandboxError(f"A context is named with letters, digits, - and _ (at most 64), not {name[:80]!r}.")
    return name
