"""How a sandbox's program is started: a command that runs Python somewhere, and the source it is given to run.

A launcher is the seam for other isolation: any command prefix that ends in a Python with ipykernel and connects its
standard input and output will do, `("docker", "run", "-i", "--rm", "--network", "none", IMAGE, "python")` among them:
see `Command`. (Jupyter's kernel provisioners start one kernel; a sandbox also needs files and processes, and a channel
that trusts nothing, hence a program of our own beside the kernels.)
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from agentnb.messages import JSON
from agentnb.sandbox.base import Limits

_MODULES = ("guest_boot", "guest_files", "guest_processes", "guest_kernels", "guest")
#: Reads the source of the modules above and runs them; all that is ever written on a command line.
BOOT = """
import json, os, sys, types
left, data = int(sys.argv[1]), b""
while len(data) < left:
    data += os.read(0, left - len(data)) or sys.exit("no program came")
given = json.loads(data)
for name, source in given["modules"]:
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
sys.modules["agentnb.sandbox.guest_boot"].prepare(given["config"])
sys.modules["agentnb.sandbox.guest"].main(given["config"])
"""


@dataclass(frozen=True, slots=True)
class Launch:
    """One start: the command, what the program is told, and what to do when it has ended.

    `contained` says that whatever the program starts ends with it.
    """

    argv: tuple[str, ...]
    payload: bytes
    env: Mapping[str, str] = field(default_factory=dict)
    fds: tuple[int, ...] = ()
    ended: Callable[[], None] = lambda: None
    contained: bool = False


class Launcher(Protocol):
    """Starts the program of a sandbox. `keeps_files` says that its home outlives the program."""

    @property
    def kind(self) -> str: ...

    @property
    def safe(self) -> bool: ...

    @property
    def network(self) -> bool: ...

    @property
    def keeps_files(self) -> bool: ...

    def launch(self, limits: Limits) -> Launch:
        """What to run. Raises SandboxError where it cannot work here."""

    def close(self) -> None:
        """Let go of what was made for it."""


def payload(limits: Limits, *, home: str, private: str, everywhere: bool, uid: int | None, processes: int) -> bytes:
    """The source of the program, and what it is told."""
    from importlib import resources

    package = resources.files("agentnb.sandbox")
    modules = [[f"agentnb.sandbox.{name}", (package / f"{name}.py").read_text("utf-8")] for name in _MODULES]
    config: dict[str, JSON] = {
        "home": home,
        "private": private,
        "everywhere": everywhere,
        "uid": uid,
        "memory": limits.memory,
        "disk": limits.disk,
        "cpu_seconds": limits.cpu_seconds,
        "cores": limits.cores,
        "processes": processes,
    }
    return orjson.dumps({"modules": modules, "config": config})


def program(python: Sequence[str], given: bytes) -> tuple[str, ...]:
    """The end of every command: Python, isolated from its surroundings, waiting for its source."""
    return (*python, "-I", "-c", BOOT, str(len(given)))


def environment(home: str, private: str, cores: int, path: str) -> dict[str, str]:
    """All the environment that code in a sandbox sees."""
    threads = str(cores)
    return {
        "HOME": home,
        "PATH": path,
        "USER": "sandbox",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "IPYTHONDIR": f"{private}/ipython",
        "MPLCONFIGDIR": f"{private}/matplotlib",
        "JUPYTER_RUNTIME_DIR": f"{private}/runtime",
        "JUPYTER_PLATFORM_DIRS": "1",
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "PYTHONDONTWRITEBYTECODE": "1",
    }


class Command:
    """A sandbox behind a command prefix, such as that of a container; whether it is `safe` is the caller's word."""

    keeps_files = False

    def __init__(
        self, python: Sequence[str], *, kind: str = "command", home: str = "/home/sandbox", network: bool = True,
        safe: bool = False,
    ) -> None:  # fmt: skip
        self.kind = kind
        self.network = network
        self.safe = safe
        self._python = tuple(python)
        self._home = home

    def launch(self, limits: Limits) -> Launch:
        given = payload(
            limits, home=self._home, private="/tmp/.agentnb", everywhere=True, uid=None, processes=limits.processes
        )
        return Launch(program(self._python, given), given)

    def close(self) -> None:
        pass


class Local:
    """A plain subprocess of this user. UNSAFE: only the environment is cleared, and single processes are bounded."""

    kind = "local"
    safe = False
    network = True
    keeps_files = True

    def __init__(self) -> None:
        self._home: str | None = None

    def launch(self, limits: Limits) -> Launch:
        if self._home is None:
            self._home = tempfile.mkdtemp(prefix="agentnb-")
        # Apart from the files: sockets are in it, whose paths must be short.
        private = tempfile.mkdtemp(prefix="agentnb-")
        # 0: the limit would count everything else that this user runs.
        given = payload(limits, home=self._home, private=private, everywhere=False, uid=None, processes=0)
        path = f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin"
        env = environment(self._home, private, limits.cores, path)
        return Launch(
            program((sys.executable,), given), given, env, ended=lambda: shutil.rmtree(private, ignore_errors=True)
        )

    def close(self) -> None:
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None
