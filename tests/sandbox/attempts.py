"""What code in a sandbox tries in order to get out: each prints `got …` where it got through, else why it did not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Attempt:
    """One way out. `{…}` in the code are things of the host (see `test_escapes.Host`).

    `control` says that the same code gets through outside of the sandbox: so it really tries what it says. `maybe`:
    where the machine itself does not refuse it.
    """

    name: str
    how: str
    code: str
    control: Literal["no", "yes", "maybe"] = "no"


#: Before each attempt: `attempt(f)` calls f and says how it went, `call` makes a system call by number.
PRELUDE = """
import ctypes, errno, fcntl, glob, mmap, os, signal, socket, stat, struct, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *given):
    ctypes.set_errno(0)
    if libc.syscall(number, *given) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "done"
def attempt(f):
    try:
        print("got", repr(f())[:200])
    except BaseException as error:
        print(f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}")
"""

ATTEMPTS = [
    Attempt("host file", "open() of a file in the host's /tmp", "attempt(lambda: open({secret!r}).read())", "yes"),
    Attempt("home folder", "list every file below the host user's home", """
found = [f for f in glob.glob({home!r} + "/*") + glob.glob({home!r} + "/.*") if os.path.isfile(f)]
attempt(lambda: found[0])
"""),
    Attempt("source checkout", "open() beside the virtual environment",
        "attempt(lambda: open({beside!r}).read())", "yes"),
    Attempt("password hashes", "open('/etc/shadow')", "attempt(lambda: open('/etc/shadow').read())"),
    Attempt("system state", "list /var, /run, /sys, /boot, /root of the host", """
attempt(lambda: [d for d in ("/var/lib", "/run/systemd", "/sys/kernel", "/boot", "/srv") if os.listdir(d)])
"""),
    Attempt("environment secrets", "search the environment of every process that /proc shows", """
def search():
    for path in glob.glob("/proc/[0-9]*/environ"):
        try: text = open(path, "rb").read()
        except OSError: continue
        if {variable!r}.encode() in text: return text
    return os.environ[{variable!r}]
attempt(search)
"""),
    Attempt("host process in /proc", "open('/proc/HOST PID/environ') and /root of it", """
attempt(lambda: open("/proc/{pid}/environ").read() and os.listdir("/proc/{pid}/root"))
"""),
    Attempt("walk up from /proc", "/proc/1/root/…, /proc/self/cwd/../../..", """
attempt(lambda: [p for p in ("/proc/1/root", "/proc/self/root", "/proc/self/cwd/../../..") if open(p + {secret!r})])
"""),
    Attempt("tcp to the host", "connect() to a server on the host's 127.0.0.1",
        "attempt(lambda: socket.create_connection(('127.0.0.1', {tcp}), 2).recv(9))", "yes"),
    Attempt("udp to the host", "sendto() a socket on the host's 127.0.0.1, and wait for its answer", """
def send():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.5)
    s.sendto(b"out", ("127.0.0.1", {udp})); return s.recv(9)
attempt(send)
""", "yes"),
    Attempt("tcp to the internet", "connect() to 1.1.1.1:53",
        "attempt(lambda: socket.create_connection(('1.1.1.1', 53), 2))"),
    Attempt("dns", "getaddrinfo('example.org')", "attempt(lambda: socket.getaddrinfo('example.org', 80))"),
    Attempt("unix socket of the host", "connect() by its path", """
s = socket.socket(socket.AF_UNIX); attempt(lambda: s.connect({unix!r}) or s.recv(9))
""", "yes"),
    Attempt("abstract socket of the host", "connect() by its name without a path", """
s = socket.socket(socket.AF_UNIX); attempt(lambda: s.connect("\\0" + {abstract!r}) or s.recv(9))
""", "yes"),
    Attempt("other socket families", "AF_PACKET, AF_VSOCK, AF_ALG", """
def make():
    for family in (17, 40, 38):
        try: return socket.socket(family, socket.SOCK_SEQPACKET if family == 38 else socket.SOCK_DGRAM)
        except OSError as e: error = e
    raise error
attempt(make)
"""),
    Attempt("signal to a host process", "kill(HOST PID, 0)", "attempt(lambda: os.kill({pid}, 0))", "yes"),
    Attempt("ptrace", "PTRACE_TRACEME in a child, PTRACE_ATTACH to the parent", """
attempt(lambda: call({ptrace}, 16, os.getppid(), 0, 0))
"""),
    Attempt("memory of the keeper", "process_vm_readv and /proc/PID/mem of the program that serves the sandbox", """
def read():
    try: return open(f"/proc/{{os.getppid()}}/mem", "rb").read(1)
    except OSError: return call({process_vm_readv}, os.getppid(), 0, 0, 0, 0, 0)
attempt(read)
"""),
    Attempt("descriptors of the keeper", "write into its pipe to the host by /proc/PID/fd", """
attempt(lambda: open(f"/proc/{{os.getppid()}}/fd/1", "wb").write(b"\\0\\0\\0\\1x"))
"""),
    Attempt("mount", "mount a tmpfs, and the disk", """
attempt(lambda: call({mount}, b"none", b"/tmp", b"tmpfs", 0, 0))
"""),
    Attempt("remount writable", "mount -o remount,rw the environment", """
attempt(lambda: call({mount}, b"none", sys.prefix.encode(), None, 0x1020, 0))
"""),
    Attempt("new mount interface", "open_tree, fsopen", "attempt(lambda: call({fsopen}, b'tmpfs', 0))"),
    Attempt("user namespace", "unshare(CLONE_NEWUSER), to be root in it",
        "attempt(lambda: subprocess.run(['unshare', '-Ur', 'id'], capture_output=True, check=True).stdout)", "maybe"),
    Attempt("namespace by clone", "clone() with CLONE_NEWUSER",
        "attempt(lambda: call({clone}, 0x10000011, 0, 0, 0, 0) or os._exit(0))"),
    Attempt("join the host's namespaces", "setns() to /proc/1/ns/net",
        "attempt(lambda: call({setns}, os.open('/proc/1/ns/net', os.O_RDONLY), 0))"),
    Attempt("become root", "setuid(0), setgroups, a setuid program", """
def root():
    try: os.setuid(0); return os.getuid()
    except OSError as e: error = e
    for program in ("su", "passwd", "newgrp"):
        if subprocess.run([program, "-c", "id"], stdin=subprocess.DEVNULL, capture_output=True).returncode == 0:
            return program
    raise error
attempt(root)
"""),
    Attempt("device node", "mknod of the first disk, then read it", """
attempt(lambda: os.mknod("/tmp/sda", 0o660 | stat.S_IFBLK, os.makedev(254, 0)) or open("/tmp/sda", "rb").read(1))
"""),
    Attempt("devices", "open /dev/mem, /dev/kmsg, /dev/kvm, /dev/vda, /dev/fuse", """
attempt(lambda: [d for d in ("/dev/mem", "/dev/kmsg", "/dev/kvm", "/dev/vda", "/dev/fuse") if os.path.exists(d)][0])
"""),
    Attempt("cgroup release_agent", "mount the cgroup tree and name a program that the host runs", """
def agent():
    os.makedirs("/tmp/cg", exist_ok=True)
    call({mount}, b"cgroup", b"/tmp/cg", b"cgroup", 0, b"memory")
    return open("/tmp/cg/release_agent", "w").write("/bin/sh")
attempt(agent)
"""),
    Attempt("core_pattern", "write /proc/sys/kernel/core_pattern",
        "attempt(lambda: open('/proc/sys/kernel/core_pattern', 'w').write('|/tmp/x'))"),
    Attempt("core dump", "crash a process, and find its memory in a file", """
subprocess.run([sys.executable, "-c", "import os; os.abort()"], cwd="/tmp")
attempt(lambda: glob.glob("/tmp/core*")[0])
"""),
    Attempt("sysctl and sysrq", "write /proc/sysrq-trigger, /proc/sys/vm/drop_caches", """
attempt(lambda: open('/proc/sysrq-trigger', 'w').write('h'))
"""),
    Attempt("kernel keyring", "keyctl: read the session keyring of whoever started it",
        "attempt(lambda: call({keyctl}, 0, -3, 1))", "maybe"),
    Attempt("write to the environment", "create a file in the prefix and in /usr", """
def write():
    for folder in (sys.prefix, "/usr/lib", "/etc", "/"):
        try: return open(folder + "/planted", "w")
        except OSError as e: error = e
    raise error
attempt(write)
"""),
    Attempt("inherited descriptors", "look for files of the host among those of every process", """
attempt(lambda: [l for p in glob.glob("/proc/[0-9]*/fd/*") for l in [os.path.islink(p) and os.readlink(p)]
    if l and {secret!r} in l][0])
"""),
    Attempt("type into the terminal", "TIOCSTI on a terminal, /dev/tty", """
def push():
    master, slave = os.openpty()
    return fcntl.ioctl(slave, 0x5412, b"x") and "typed"
attempt(push)
"""),
    Attempt("shared memory of the host", "open a file in the host's /dev/shm",
        "attempt(lambda: open({shm!r}).read())", "yes"),
    Attempt("hard link", "link() a file of the environment into the home folder",
        "attempt(lambda: os.link(os.path.join(sys.prefix, 'pyvenv.cfg'), os.path.expanduser('~/linked')))"),
    Attempt("chroot", "chroot() and climb out of it", "attempt(lambda: os.chroot('/tmp'))"),
    Attempt("io_uring", "io_uring_setup()",
        "attempt(lambda: call({io_uring_setup}, 1, ctypes.create_string_buffer(120)))", "maybe"),
    Attempt("bpf", "bpf(BPF_MAP_CREATE)", """
given = ctypes.create_string_buffer(struct.pack("5I", 2, 4, 4, 1, 0), 120)
attempt(lambda: call({bpf}, 0, given, 120))
""", "maybe"),
    Attempt("perf and userfaultfd", "perf_event_open(), userfaultfd()",
        "attempt(lambda: call({userfaultfd}, 0) or call({perf_event_open}, 0, 0, -1, -1, 0))", "maybe"),
    Attempt("memory without a name", "memfd_create(), shmget(): counted by no limit",
        "attempt(lambda: os.memfd_create('x') and 'made')", "yes"),
    Attempt("reboot", "reboot(LINUX_REBOOT_CMD_CAD_OFF)",
        "attempt(lambda: call({reboot}, 0xfee1dead, 672274793, 0))"),
    Attempt("clock and host name", "clock_settime(), sethostname()", """
attempt(lambda: socket.sethostname("owned"))
"""),
    Attempt("priority", "nice(-10): run before the notebook", "attempt(lambda: os.nice(-10))"),
    Attempt("raise its own limits", "setrlimit(RLIMIT_NPROC, infinity)", """
import resource
attempt(lambda: resource.setrlimit(resource.RLIMIT_NPROC, (resource.RLIM_INFINITY,) * 2))
"""),
]  # fmt: skip
