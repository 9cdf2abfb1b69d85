"""Code in the sandbox tries to get out, or to take the machine down; every attempt is refused. Printed as a table."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agentnb.errors import SandboxError
from agentnb.sandbox import process, seccomp
from agentnb.sandbox.base import GIB, MIB, Execution, Limits
from agentnb.sandbox.bwrap import Bubblewrap
from agentnb.sandbox.launch import Local
from agentnb.sandbox.process import ProcessSandbox
from tests.sandbox.attempts import ATTEMPTS, PRELUDE, Attempt
from tests.sandbox.conftest import Box, needs_bwrap, started

pytestmark = needs_bwrap

TABLE = "table:escape attempts"
SECRET = "the host's own words"
VARIABLE = "AGENTNB_TEST_SECRET"
LIMITS = Limits(memory=GIB, disk=128 * MIB, output=MIB, processes=128)
Record = Callable[[str, object], None]


@dataclass
class Host:
    """Things of the host that an attempt is after."""

    names: dict[str, object] = field(default_factory=dict)
    udp: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Files, sockets, a process, an environment variable and an inheritable descriptor, all of the host."""
    host = Host()
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("host")
        secret, shm = folder / "secret", Path(f"/dev/shm/agentnb-{os.getpid()}")
        for path in (secret, shm):
            path.write_text(SECRET)
            path.chmod(0o644)
        stack.callback(shm.unlink)
        os.environ[VARIABLE] = SECRET
        stack.callback(os.environ.pop, VARIABLE)
        opened = stack.enter_context(open(secret, "rb"))
        os.set_inheritable(opened.fileno(), True)
        sleeper = stack.enter_context(subprocess.Popen(["sleep", "600"]))
        stack.callback(sleeper.kill)
        abstract = f"agentnb-{os.getpid()}"
        tcp = stack.enter_context(_listening(socket.AF_INET, ("127.0.0.1", 0)))
        stack.enter_context(_listening(socket.AF_UNIX, f"{folder}/s"))
        stack.enter_context(_listening(socket.AF_UNIX, f"\0{abstract}"))
        stack.enter_context(host.udp)
        host.udp.bind(("127.0.0.1", 0))
        threading.Thread(target=_echo, args=(host.udp,), daemon=True).start()
        _, calls, checked = seccomp._MACHINES[platform.machine()]
        host.names = {
            **calls, **checked, "secret": str(secret), "home": os.path.expanduser("~"), "variable": VARIABLE,
            "beside": str(Path(__file__)), "pid": sleeper.pid, "tcp": tcp.getsockname()[1], "unix": f"{folder}/s",
            "udp": host.udp.getsockname()[1], "abstract": abstract, "shm": str(shm),
        }  # fmt: skip
        yield host
        assert sleeper.poll() is None, "a process of the host was ended from inside"


@contextmanager
def _listening(family: int, address: object) -> Iterator[socket.socket]:
    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                connection.sendall(b"welcome")
                connection.close()

    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.bind(address)  # type: ignore[arg-type]  # tuple or text, by family
        server.listen()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _echo(server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            data, sender = server.recvfrom(100)
            server.sendto(b"heard " + data, sender)


@pytest.fixture(scope="module")
def box(host: Host) -> Iterator[Box]:
    yield from started(Bubblewrap(), LIMITS)


@pytest.fixture(scope="module")
def outside(host: Host) -> Iterator[Box]:
    """The same without bubblewrap: what is refused inside gets through here."""
    yield from started(Local(), LIMITS)


def _said(run: Execution) -> str:
    """What an attempt printed."""
    assert run.error is None, run.error
    said = run.stdout.strip()
    assert said, "the attempt said nothing"
    return said.splitlines()[-1]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_an_attempt_to_get_out_is_refused(attempt: Attempt, box: Box, host: Host, record_property: Record) -> None:
    said = _said(box.run(PRELUDE + attempt.code.format(**host.names)))
    record_property(TABLE, [attempt.name, attempt.how, said[:60]])
    assert not said.startswith("got"), said
    assert SECRET not in said


CONTROLS = [each for each in ATTEMPTS if each.control != "no"]


@pytest.mark.parametrize("attempt", CONTROLS, ids=lambda attempt: attempt.name)
def test_the_same_gets_through_where_there_is_no_sandbox(attempt: Attempt, outside: Box, host: Host) -> None:
    said = _said(outside.run(PRELUDE + attempt.code.format(**host.names)))
    refused = ("PermissionError", "CalledProcessError", "OSError: Function not implemented")
    assert said.startswith("got") or (attempt.control == "maybe" and said.startswith(refused)), said


def test_a_link_to_a_host_file_reads_nothing_of_it(box: Box, host: Host, record_property: Record) -> None:
    secret = str(host.names["secret"])
    box.shell(f"ln -sf {secret} ~/link")
    with pytest.raises(SandboxError) as refused:
        box.wait(lambda sandbox: sandbox.files.read("link"))
    record_property(TABLE, ["symlink", "a link to a host file, then download it", str(refused.value)[:60]])


def test_a_link_that_is_swapped_while_it_is_read_reads_nothing_of_the_host(
    box: Box, host: Host, record_property: Record
) -> None:
    swap = "while true; do ln -sfn {0} ~/raced; rm -f ~/raced; echo mine > ~/raced; done"
    racing = box.wait(lambda sandbox: sandbox.processes.start(swap.format(host.names["secret"])))
    seen = set()
    for _ in range(60):
        with suppress(SandboxError):
            seen.add(box.wait(lambda sandbox: sandbox.files.read("raced")))
    box.wait(lambda sandbox: sandbox.processes.kill(racing.pid))
    assert seen <= {b"mine\n", b""}
    record_property(TABLE, ["symlink race", "swap file and link while it is downloaded", "only its own file was read"])


def _attack(box: Box, code: str, **options: object) -> tuple[Execution, float]:
    """Run an attack; gives its end, and the longest time that the host's own loop was held up meanwhile."""
    options.setdefault("timeout", 5)
    gaps: list[float] = []

    async def tick() -> None:
        while True:
            begun = time.monotonic()
            await asyncio.sleep(0.02)
            gaps.append(time.monotonic() - begun)

    ticking = asyncio.run_coroutine_threadsafe(tick(), box.loop.loop)
    run = box.run(code, **options)
    ticking.cancel()
    return run, max(gaps, default=0.0)


def _answers(box: Box) -> None:
    """Within a second after an attack, a sandbox runs code again (a new one, where the old one was ended)."""
    begun = time.monotonic()
    assert box.run("print('here')", timeout=20).stdout.endswith("here\n")
    assert time.monotonic() - begun < 5


ATTACKS = [
    ("fork bomb", "while True: os.fork()", "import os\nwhile True: os.fork()", {}, "ProcessLimit"),
    ("fork bomb in a shell", ":(){ :|:& };:", ":(){ :|:& };:; sleep 60", {"language": "shell", "timeout": 0.5},
     "Timeout"),
    ("thread bomb", "threads until there are no more", """
import threading, time
while True: threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
""", {}, "RuntimeError"),
    ("10 GB of memory", "bytearray(10 GB)", "x = bytearray(10 * 10**9)", {}, "MemoryError"),
    ("10 GB shared between processes", "mmap without a file, then fork", """
import mmap; m = mmap.mmap(-1, 10 * 10**9); m.write(b"x" * 10**9)
""", {}, "OSError"),
    ("memory of many processes", "20 processes of 200 MB", """
import os, time
for _ in range(20):
    if os.fork() == 0: x = bytearray(os.urandom(1) * 200_000_000); time.sleep(60); os._exit(0)
time.sleep(60)
""", {}, "SandboxEnded"),
    ("fill the disk", "write 10 GB into files", """
for n in range(1000):
    with open(f"f{n}", "wb") as f: f.write(bytes(10_000_000))
""", {}, "OSError"),
    ("one file of 10 GB", "truncate -s 10G", "open('big', 'wb').truncate(10 * 10**9)", {}, "OSError"),
    ("fill /dev/shm", "write 10 GB into /dev/shm", """
for n in range(1000): open(f"/dev/shm/f{n}", "wb").write(bytes(10_000_000))
""", {}, "OSError"),
    ("endless loop", "while True: pass", "while True: pass", {"timeout": 0.5}, "Timeout"),
    ("loop that will not stop", "ignore SIGINT, then loop", """
import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)
while True: pass
""", {"timeout": 0.5}, "Timeout"),
    ("10 GB of output", "print() without end", "while True: print('x' * 100_000)", {}, "OutputLimit"),
    ("output in a shell", "yes", "yes", {"language": "shell"}, "OutputLimit"),
    ("kill everyone", "kill(-1, SIGKILL)", "import os, signal; os.kill(-1, signal.SIGKILL)", {}, "SandboxEnded"),
    ("end the keeper", "kill the program that serves the sandbox", "import os; os.kill(os.getppid(), 9)", {},
     "SandboxEnded"),
    ("write past the keeper", "write bytes to descriptor 1 without end", """
import os
while True: os.write(1, b"\\xff" * 65536)
""", {}, "OutputLimit"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "how", "code", "options", "expected"), ATTACKS, ids=[each[0] for each in ATTACKS])
def test_an_attack_on_the_machine_ends_in_a_clear_result(
    name: str, how: str, code: str, options: dict[str, object], expected: str, box: Box, record_property: Record
) -> None:
    run, gap = _attack(box, code, **options)
    assert run.error is not None
    record_property(TABLE, [name, how, f"{run.error.name}: {run.error.message}"[:60]])
    assert run.error.name == expected, run.error
    assert gap < 1, "the host was held up"
    _answers(box)
    if "bomb" in name:  # what it started is still there
        box.wait(lambda sandbox: sandbox.delete_context("main"))
    box.shell("rm -rf ~/* /dev/shm/*")


def test_a_keeper_that_is_frozen_is_noticed_and_replaced(
    box: Box, record_property: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_PATIENCE", 0.5)
    monkeypatch.setattr(process, "_ASK_EVERY", 1)
    run, gap = _attack(box, "import os, signal; os.kill(os.getppid(), signal.SIGSTOP)")
    assert run.error is not None
    record_property(TABLE, ["freeze the keeper", "stop the program that serves the sandbox", str(run.error)[:60]])
    assert "it has not answered for 0.5 s" in run.error.message
    assert gap < 1
    _answers(box)


STARTED_AND_KILLED = """
import asyncio, os, signal
from agentnb.sandbox.bwrap import Bubblewrap
from agentnb.sandbox.process import ProcessSandbox
async def main():
    sandbox = ProcessSandbox(Bubblewrap())
    await sandbox.processes.start("sleep 4343")
    print(sandbox.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


def test_a_sandbox_ends_with_the_kernel_that_started_it_however_that_ends() -> None:
    died = subprocess.run(
        [sys.executable, "-c", STARTED_AND_KILLED], capture_output=True, text=True, check=False, timeout=60
    )
    pid = int(died.stdout)
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            break
        threading.Event().wait(0.05)
    assert not Path(f"/proc/{pid}").exists()
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)]
    assert b"sleep\x004343\x00" not in commands


def test_nothing_of_a_sandbox_is_left_when_it_is_closed(tmp_path: Path) -> None:
    for box in started(Bubblewrap(), LIMITS):
        assert isinstance(box.sandbox, ProcessSandbox)
        box.wait(lambda sandbox: sandbox.processes.start("setsid sleep 4242 & setsid nohup sleep 4242"))
        pid = box.sandbox.pid
        assert pid is not None
    assert not Path(f"/proc/{pid}").exists()
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)]
    assert b"sleep\x004242\x00" not in commands


def test_with_the_network_asked_for_it_is_there(host: Host) -> None:
    for box in started(Bubblewrap(network=True), LIMITS):
        code = f"import socket; socket.create_connection(('127.0.0.1', {host.names['tcp']}), 2).recv(9)"
        assert box.run(code).result == "b'welcome'"
        # All else stays as it is.
        assert not _said(box.run(PRELUDE + ATTEMPTS[0].code.format(**host.names))).startswith("got")


#: Run as root in a mount namespace of its own: shows Python to everybody, also one that lives in root's home.
OPENED = """
set -e
keep=$(mktemp -d) home=$1 user=$2; shift 2
chmod 755 $keep
mount --bind "$home" $keep
mount -t tmpfs -o mode=755 tmpfs "$home"
while [ "$1" != -- ]; do
    case "$1" in "$home"/*) mkdir -p "$1"; mount --bind "$keep${1#"$home"}" "$1";; esac
    shift
done
shift
exec setpriv --reuid $user --regid $user --clear-groups env -i PATH=/usr/bin:/bin HOME=/tmp "$@"
"""
TRIED = """
import asyncio, os
from agentnb.sandbox.base import gather
from agentnb.sandbox.bwrap import Bubblewrap
from agentnb.sandbox.process import ProcessSandbox
async def main():
    sandbox = ProcessSandbox(Bubblewrap())
    code = "import os, resource; print(os.getuid(), os.getcwd(), resource.getrlimit(resource.RLIMIT_NPROC)[0])"
    print(os.getuid(), (await gather(sandbox.execute(code))).stdout)
    await sandbox.close()
asyncio.run(main())
"""


def test_a_user_without_privileges_has_the_same_sandbox() -> None:
    argv = [sys.executable, "-c", TRIED]
    if os.geteuid() == 0:
        home, root = os.path.expanduser("~"), str(Path(__file__).parents[2])
        shown = [os.path.realpath(sys.base_prefix), os.path.realpath(sys.prefix), root]
        argv = ["unshare", "-m", "bash", "-c", OPENED, "bash", home, "65534", *shown, "--", *argv]
    tried = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, cwd="/")
    user = 65534 if os.geteuid() == 0 else os.geteuid()
    assert tried.stdout.split() == [str(user), "1000", "/home/sandbox", "256"], tried.stderr
