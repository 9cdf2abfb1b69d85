"""The program of a sandbox inside bubblewrap: no files but Python's, no network, a process table of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from agentnb.errors import SandboxError
from agentnb.sandbox import seccomp
from agentnb.sandbox.base import MIB, Limits
from agentnb.sandbox.launch import Launch, environment, payload, program

HOME = "/home/sandbox"
_PRIVATE = "/tmp/.agentnb"
#: Bytes of shared memory between processes of a sandbox.
_SHARED = 64 * MIB
_TOP = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
#: What programs read of /etc; nothing in it is secret.
_ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "fonts", "localtime", "mime.types", "bash.bashrc")
_ETC_NETWORK = ("resolv.conf", "hosts", "nsswitch.conf", "ssl", "ca-certificates", "gai.conf", "protocols", "services")
#: Users of these numbers exist on no system: each sandbox, where root starts it, is one of them.
_USERS = range(0x60000000, 0x6FFFFFFF)
#: Before this version of Linux, a limit on processes counts those of the same user outside of the sandbox as well.
_COUNTS_APART = (5, 14)
INSTALL = "Install bubblewrap (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)"


def unavailable(executable: str = "bwrap") -> str | None:
    """Why bubblewrap cannot be used here, in one line with the next step; None where it can."""
    if not sys.platform.startswith("linux"):
        return f"Code can be locked up with bubblewrap on Linux only, and this is {sys.platform}"
    if shutil.which(executable) is None:
        return f"bubblewrap is not installed. {INSTALL}"
    argv = [executable, "--unshare-all", *_user(), "--ro-bind", "/", "/", "--", "/usr/bin/true"]
    try:
        tried = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not start here ({error})"
    if tried.returncode:
        why = " ".join(tried.stderr.split())[:200] or f"exit code {tried.returncode}"
        return f"bubblewrap may not make namespaces here ({why}). In a container, allow user namespaces"
    return None


class Bubblewrap:
    """Starts the program in bubblewrap. With `network`, code in it reaches all that this machine does."""

    kind = "bwrap"
    keeps_files = False

    def __init__(self, *, network: bool = False, executable: str = "bwrap") -> None:
        self.network = network
        self.safe = not network
        self._executable = executable

    def launch(self, limits: Limits) -> Launch:
        executable = shutil.which(self._executable)
        if executable is None:
            raise SandboxError(f"bubblewrap is not installed. {INSTALL}.")
        uid = secrets.choice(_USERS) if os.geteuid() == 0 else None
        given = payload(
            limits, home=HOME, private=_PRIVATE, everywhere=True, uid=uid, processes=_processes(limits, uid)
        )
        shown = uid or 1000
        fds = [
            _readable(f"sandbox:x:{shown}:{shown}::{HOME}:/bin/bash\n".encode()),
            _readable(f"sandbox:x:{shown}:\n".encode()),
        ]
        files = []
        for fd, name in zip(fds, ("passwd", "group"), strict=True):
            files += ["--perms", "0644", "--ro-bind-data", str(fd), f"/etc/{name}"]
        rules = seccomp.program()
        if rules is not None:
            fds.append(_readable(rules))
            files += ["--seccomp", str(fds[2])]
        argv = (
            executable, *self._namespaces(), *_mounts(limits, network=self.network), *files,
            *_sealed(limits), "--chdir", "/", "--", *program((sys.executable,), given),
        )  # fmt: skip

        def ended() -> None:
            while fds:
                os.close(fds.pop())

        return Launch(argv, given, {}, tuple(fds), ended, contained=True)

    def close(self) -> None:
        pass

    def _namespaces(self) -> Iterator[str]:
        yield from ("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "sandbox")
        yield from ("--die-with-parent", "--new-session", "--cap-drop", "ALL")
        if not self.network:
            yield "--unshare-net"
        yield from _user()


def _user() -> Sequence[str]:
    # Root needs no namespace of users: the program becomes a user of its own (see guest_boot).
    if os.geteuid() == 0:
        return ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
    return ("--unshare-user", "--uid", "1000", "--gid", "1000")


def _processes(limits: Limits, uid: int | None) -> int:
    release = tuple(int(part) for part in os.uname().release.split(".")[:2] if part.isdigit())
    if uid is not None or release >= _COUNTS_APART:
        return limits.processes
    return limits.processes + sum(1 for entry in Path("/proc").glob("[0-9]*/task/*") if _mine(entry))


def _mine(task: Path) -> bool:
    try:
        return task.stat().st_uid == os.getuid()
    except OSError:
        return False


def _mounts(limits: Limits, *, network: bool) -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for name in _TOP:
        top = Path("/", name)
        if top.is_symlink():
            yield from ("--symlink", os.readlink(top), str(top))
        elif top.is_dir():
            yield from ("--ro-bind", str(top), str(top))
    yield from ("--perms", "0755", "--dir", "/etc")
    for name in (*_ETC, *(_ETC_NETWORK if network else ())):
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    yield from ("--proc", "/proc", "--dev", "/dev")
    for place, size in (("/dev/shm", _SHARED), ("/tmp", max(limits.disk // 4, 64 * MIB)), ("/home", limits.disk)):
        yield from ("--perms", "1777", "--size", str(size), "--tmpfs", place)
    # Later than the folders above: an environment may be in one of them.
    for prefix in prefixes():
        for parent in reversed(Path(prefix).parents[:-1]):
            # Made by bubblewrap itself, a folder has the mode of the real one: nobody else may enter root's home.
            yield from ("--perms", "0755", "--dir", str(parent))
        yield from ("--ro-bind", prefix, prefix)


def _sealed(limits: Limits) -> Iterator[str]:
    """What is left writable would be a disk without a limit: the folders between the mounts."""
    yield from ("--remount-ro", "/dev", "--remount-ro", "/")
    path = f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin"
    yield "--clearenv"
    for name, value in environment(HOME, _PRIVATE, limits.cores, path).items():
        yield from ("--setenv", name, value)


def prefixes() -> list[str]:
    """The folders of this Python, which a sandbox sees. Raises SandboxError for one that holds more than Python."""
    found = dict.fromkeys(p for p in (sys.base_prefix, sys.base_exec_prefix, sys.prefix, sys.exec_prefix))
    home = Path.home().resolve()
    outside = [prefix for prefix in found if not Path(prefix).is_relative_to("/usr")]
    for prefix in outside:
        if home.is_relative_to(Path(prefix).resolve()):
            raise SandboxError(
                f"Python lives in {prefix}, together with your files: a sandbox would show them. Use a venv."
            )
    for package in ("ipykernel", "jupyter_client"):
        spec = find_spec(package)
        where = Path(spec.origin).resolve() if spec and spec.origin else None
        if where is None or not any(where.is_relative_to(Path(p).resolve()) for p in ("/usr", *outside)):
            raise SandboxError(
                f"{package} is not in the environment {sys.prefix}. Run: {sys.executable} -m pip install "
                "'agentnb[sandbox]'"
            )
    return outside


def _readable(data: bytes) -> int:
    """A descriptor that gives these bytes (less than a pipe holds), once."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as out:
        out.write(data)
    return reading
