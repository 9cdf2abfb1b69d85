"""The filter of system calls, run by an interpreter of its instructions."""

from __future__ import annotations

import errno
import struct

import pytest

from agentnb.sandbox import seccomp

ALLOWED, REFUSED, MISSING, KILLED = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS, 0x80000000
MACHINES = ("x86_64", "aarch64")


def _judge(program: bytes, number: int, architecture: int, *given: int) -> int:
    """What the kernel would do with a call: the value that the program returns."""
    data = struct.pack("<IIQ6Q", number, architecture, 0, *given, *([0] * (6 - len(given))))
    steps = list(struct.iter_unpack("<HBBI", program))
    at, loaded = 0, 0
    while True:
        code, if_true, if_false, value = steps[at]
        at += 1
        match code:
            case 0x20:
                loaded = struct.unpack_from("<I", data, value)[0]
            case 0x06:
                return int(value)
            case 0x15:
                at += if_true if loaded == value else if_false
            case 0x35:
                at += if_true if loaded >= value else if_false
            case 0x45:
                at += if_true if loaded & value else if_false
            case _:
                pytest.fail(f"no such instruction: {code:#x}")


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_named_is_refused_and_all_else_allowed(machine: str) -> None:
    architecture, forbidden, checked = seccomp._MACHINES[machine]
    program = seccomp.program(machine)
    assert program is not None
    for number in range(600):
        expected = REFUSED if number in forbidden.values() else ALLOWED
        if number == checked["clone3"]:
            expected = MISSING
        if number == checked["socket"]:
            continue
        assert _judge(program, number, architecture) == expected, number


@pytest.mark.parametrize("machine", MACHINES)
def test_threads_and_forks_are_made_and_namespaces_are_not(machine: str) -> None:
    architecture, _, checked = seccomp._MACHINES[machine]
    program = seccomp.program(machine) or b""
    for flags, expected in ((17, ALLOWED), (0x3D0F00, ALLOWED), (0x10000011, REFUSED), (0x40000011, REFUSED)):
        assert _judge(program, checked["clone"], architecture, flags) == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_nobody_types_into_a_terminal(machine: str) -> None:
    architecture, _, checked = seccomp._MACHINES[machine]
    program = seccomp.program(machine) or b""
    for control, expected in ((0x5401, ALLOWED), (0x5412, REFUSED), (0x541C, REFUSED)):
        assert _judge(program, checked["ioctl"], architecture, 0, control) == expected
        # What is in the upper half is cut off by the kernel, too.
        assert _judge(program, checked["ioctl"], architecture, 0, control | 1 << 40) == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_only_sockets_of_the_common_families_are_made(machine: str) -> None:
    architecture, _, checked = seccomp._MACHINES[machine]
    program = seccomp.program(machine) or b""
    for family in range(46):
        expected = ALLOWED if family in (1, 2, 10, 16) else REFUSED
        assert _judge(program, checked["socket"], architecture, family) == expected, family


def test_calls_of_another_architecture_end_the_process_and_those_of_x32_are_refused() -> None:
    program = seccomp.program("x86_64") or b""
    assert _judge(program, 0, 0x40000003) == KILLED  # 32-bit x86, whose numbers mean other calls
    assert _judge(program, 0x40000000 | 101, 0xC000003E) == REFUSED


def test_a_machine_whose_calls_are_not_known_has_no_filter() -> None:
    assert seccomp.program("s390x") is None
