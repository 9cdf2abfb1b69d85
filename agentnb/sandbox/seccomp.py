"""The system calls that a sandbox may not make, as a program for the kernel's filter (classic BPF).

Most of them need privileges that the sandbox does not have anyway: the filter keeps holes in the kernel behind them
out of reach. Everything is allowed but what is named here, so that numpy, compilers and shells work.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Sequence

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
#: Where the kernel puts the call's number, the architecture, and (little-endian, low half) each argument.
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24
#: New namespaces: of files, cgroups, hostnames, ipc, users, processes, network.
_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
#: Terminal controls that type into somebody's terminal.
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
#: Families of sockets that may be made: unix, IPv4, IPv6, and netlink (lists interfaces).
_FAMILIES = (1, 2, 10, 16)

_NAMES = (
    "ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "process_madvise", "mount",
    "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick",
    "mount_setattr", "unshare", "setns", "open_by_handle_at", "name_to_handle_at", "quotactl", "swapon",
    "swapoff", "acct", "add_key", "request_key", "keyctl", "bpf", "userfaultfd", "perf_event_open",
    "io_uring_setup", "io_uring_enter", "io_uring_register", "kexec_load", "kexec_file_load", "init_module",
    "finit_module", "delete_module", "reboot", "syslog", "settimeofday", "clock_settime", "adjtimex",
    "clock_adjtime", "sethostname", "setdomainname", "vhangup",
    # Memory that no limit counts: files without a name, and shared segments.
    "memfd_create", "memfd_secret", "shmget", "fanotify_init", "lookup_dcookie",
)  # fmt: skip
_X86 = dict(zip(_NAMES, (
    101, 310, 311, 312, 438, 440,
    165, 166, 155, 161, 429, 428, 430, 431, 432, 433, 442,
    272, 308, 304, 303, 179, 167, 168, 163,
    248, 249, 250, 321, 323, 298, 425, 426, 427,
    246, 320, 175, 313, 176, 169, 103,
    164, 227, 159, 305, 170, 171, 153,
    319, 447, 29, 300, 212,
), strict=True)) | {"iopl": 172, "ioperm": 173}  # fmt: skip
_ARM = dict(zip(_NAMES, (
    117, 270, 271, 272, 438, 440,
    40, 39, 41, 51, 429, 428, 430, 431, 432, 433, 442,
    97, 268, 265, 264, 60, 224, 225, 89,
    217, 218, 219, 280, 282, 241, 425, 426, 427,
    104, 294, 105, 273, 106, 142, 116,
    170, 112, 171, 266, 161, 162, 58,
    279, 447, 194, 262, 18,
), strict=True))  # fmt: skip
#: By machine: the architecture as the filter sees it, forbidden calls, and the numbers of those whose arguments count.
_MACHINES = {
    "x86_64": (0xC000003E, _X86, {"clone": 56, "clone3": 435, "ioctl": 16, "socket": 41}),
    "aarch64": (0xC00000B7, _ARM, {"clone": 220, "clone3": 435, "ioctl": 29, "socket": 198}),
}


def program(machine: str | None = None) -> bytes | None:
    """The filter for a machine (this one), as bubblewrap takes it; None for a machine whose calls are not known."""
    known = _MACHINES.get(machine or os.uname().machine)
    if known is None:
        return None
    architecture, forbidden, checked = known
    refuse = _op(_RETURN, _ERRNO | errno.EPERM)
    out = [
        _op(_LOAD, _ARCHITECTURE), _op(_EQUAL, architecture, 1, 0), _op(_RETURN, _KILL),
        _op(_LOAD, _NUMBER),
        # The x32 calls of x86 have numbers of their own.
        _op(_AT_LEAST, 0x40000000, 0, 1), refuse,
        # Its flags are in memory, where a filter cannot look; told that it is not there, libc uses clone.
        _op(_EQUAL, checked["clone3"], 0, 1), _op(_RETURN, _ERRNO | errno.ENOSYS),
        *_look(checked["clone"], _FIRST, [_op(_ANY_BIT, _NAMESPACES, 0, 1), refuse]),
        *_look(checked["ioctl"], _SECOND, [*_one_of((_TIOCSTI, _TIOCLINUX)), refuse]),
        *_look(checked["socket"], _FIRST, [*_none_of(_FAMILIES), refuse]),
    ]  # fmt: skip
    for number in sorted(forbidden.values()):
        out += [_op(_EQUAL, number, 0, 1), refuse]
    return b"".join([*out, _op(_RETURN, _ALLOW)])


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _look(number: int, argument: int, check: Sequence[bytes]) -> list[bytes]:
    """For this call, load an argument and check it; what the check lets through is allowed."""
    body = [_op(_LOAD, argument), *check, _op(_RETURN, _ALLOW)]
    return [_op(_EQUAL, number, 0, len(body)), *body]


def _one_of(values: Sequence[int]) -> list[bytes]:
    """Go on to the next step but one for none of these, to the next for any."""
    last = len(values) - 1
    return [_op(_EQUAL, value, last - at, 1 if at == last else 0) for at, value in enumerate(values)]


def _none_of(values: Sequence[int]) -> list[bytes]:
    """Go on to the next step for none of these, to the next but one for any."""
    return [_op(_EQUAL, value, len(values) - at, 0) for at, value in enumerate(values)]
