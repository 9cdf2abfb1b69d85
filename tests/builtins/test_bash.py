from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from agentnb.builtins import processes, terminal
from agentnb.builtins.bash import Bash
from agentnb.builtins.terminal import Plain
from agentnb.errors import ToolError
from agentnb.messages import Content, Text
from agentnb.tools.base import InlineRunner, ToolContext
from tests.tools.conftest import Call

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="no terminal of this kind")]


def bash(**environ: str) -> Bash:
    return Bash(environ={"PATH": os.environ["PATH"], **environ})


def alive(pid_file: Path) -> bool:
    """Whether the process that wrote its id still runs; a zombie does not."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid_file.read_text().strip()}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(5):
        while not condition():  # noqa: ASYNC110  another process cannot set an event
            await anyio.sleep(0.01)


@pytest.mark.parametrize(
    ("command", "text", "failed"),
    [
        ("echo hi; echo bad >&2", "hi\nbad", False),
        ("true", "(empty output)", False),
        ("false", "Exit code 1\n(empty output)", True),
        ("echo no; exit 3", "Exit code 3\nno", True),
        ("kill -9 $$", "Exit code -9 (SIGKILL)\n(empty output)", True),
        ("no-such-command", "no-such-command: command not found", True),
        ("if", "syntax error", True),
        ("stty size; tput cols; [ -t 1 ] && echo terminal", "24 80\n80\nterminal", False),
        (r"printf '\e[1;31mred\e[0m\r\n\e]0;title\aé\xff\n'", "red\né\N{REPLACEMENT CHARACTER}", False),
        (
            "read x; echo \"got [$x]\"; cat; python3 -c 'print(input())' 2>&1 | tail -1",
            "got []\nEOFError: EOF when reading a line",
            False,
        ),
        ("cd /; pwd; cat <<X\nmore lines\nX", "/\nmore lines", False),
        ("printf 'no end'", "no end", False),
    ],
)
async def test_a_command_is_run_in_a_terminal_and_told(call: Call, command: str, text: str, failed: bool) -> None:
    got = await call(bash(), command=command)
    assert got.text == text or (failed and text in got.text)
    assert got.result.is_error == failed


async def test_each_call_is_a_new_shell(call: Call) -> None:
    tool = bash()
    await call(tool, command="X=1; cd /")
    assert (await call(tool, command="echo [$X]; pwd")).text == f"[]\n{Path.cwd()}"


async def test_output_is_shown_while_it_comes() -> None:
    shown: list[str] = []
    came = asyncio.Event()

    def emit(block: Content) -> None:
        assert isinstance(block, Text)
        shown.append(block.text)
        came.set()

    context = ToolContext(emit, {}, InlineRunner())
    running = asyncio.create_task(bash().call({"command": "echo first; sleep 60"}, context))
    with anyio.fail_after(5):
        await came.wait()
    assert shown == ["first\n"]
    running.cancel()
    with anyio.fail_after(5), pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("how", ["timeout", "cancel"])
async def test_no_process_outlives_a_command_that_is_given_up(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Not a child in the background, not a grandchild in a session of its own, not one that ignores SIGTERM."""
    monkeypatch.setattr(processes, "GRACE", 0.3)
    command = f"""
    sleep 1000 & echo $! > {tmp_path}/child
    (setsid sh -c 'echo $$ > {tmp_path}/own; exec sleep 1000' &)
    (setsid sh -c 'trap "" TERM HUP INT; echo $$ > {tmp_path}/stubborn; while :; do sleep 1; done' &)
    echo ready; sleep 1000
    """
    files = [tmp_path / name for name in ("child", "own", "stubborn")]
    if how == "timeout":
        got = await call(bash(), command=command, timeout=0.5)
        assert got.text == "Timed out after 0.5 s, and was stopped.\nready"
        assert got.result.is_error
    else:
        running = asyncio.create_task(call(bash(), command=command))
        await until(lambda: all(file.exists() and file.read_text() for file in files))
        assert all(map(alive, files))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert [file.exists() for file in files] == [True] * 3
    assert not any(map(alive, files))


async def test_what_is_left_in_the_background_ends_with_the_command(call: Call, tmp_path: Path) -> None:
    got = await call(bash(), command=f"sleep 1000 & echo $! > {tmp_path}/child; echo done")
    assert got.text == "done"
    assert not alive(tmp_path / "child")


async def test_a_flood_of_output_is_cut_and_kept_whole_in_a_variable(call: Call) -> None:
    namespace: dict[str, object] = {}
    got = await call(bash(), namespace, command="head -c 3000000 /dev/zero | tr '\\0' x; echo; echo the end")
    assert len(got.text) < 41_000
    assert got.text.endswith("the end")
    assert got.result.handle == "bash_1"
    assert len(str(namespace["bash_1"])) == 3_000_008
    assert len(got.card) < 11_000


async def test_of_more_than_is_kept_the_end_is_seen_all_the_same(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentnb.builtins.bash._KEPT", 1_000)
    got = await call(bash(), command="head -c 50000000 /dev/zero | tr '\\0' x; echo; echo the end")
    assert got.text.startswith("x" * 1_000 + "\n… 50.0 MB left out …\nx")
    assert got.text.endswith("\nthe end")
    assert len(got.text) < 10_000


async def test_commands_do_not_see_the_persons_keys(call: Call) -> None:
    tool = Bash(environ={"PATH": os.environ["PATH"], "MY_KEY": "sk-1", "PLAIN": "yes"}, hidden=lambda: ["MY_KEY"])
    got = await call(
        tool, command="echo [$MY_KEY] [$PLAIN]; env | grep -c sk-1; cat /proc/$PPID/environ >/dev/null; true"
    )
    assert got.text == "[] [yes]\n0"


async def test_the_time_is_that_of_the_environment_where_the_call_names_none(call: Call) -> None:
    got = await call(bash(BASH_EXEC_TIMEOUT="0.2"), command="sleep 60")
    assert got.text == "Timed out after 0.2 s, and was stopped.\n(empty output)"
    with pytest.raises(ToolError, match="BASH_EXEC_TIMEOUT"):
        await call(bash(BASH_EXEC_TIMEOUT="long"), command="true")
    for seconds in (0, -1, float("nan")):
        with pytest.raises(ToolError, match="greater than 0"):
            await call(bash(), command="true", timeout=seconds)


async def test_commands_run_beside_each_other(call: Call, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    tool = bash()
    assert tool.parallel
    both = await asyncio.gather(
        call(tool, command=f"echo over > {tmp_path}/pipe; echo sent"), call(tool, command=f"cat {tmp_path}/pipe")
    )
    assert [got.text for got in both] == ["sent", "over"]


async def test_what_cannot_be_started_is_told(call: Call) -> None:
    with pytest.raises(ToolError, match="could not be started"):
        await call(bash(), command="echo \0")


async def test_the_preview_shows_command_and_folder(tmp_path: Path) -> None:
    context = ToolContext(lambda _: None, {}, InlineRunner())
    assert await Bash(tmp_path).preview({"command": "ls"}, context) == (Text(f"In {tmp_path}:\n```bash\nls\n```"),)
    with pytest.raises(ToolError, match="no folder"):
        await Bash(tmp_path).preview({"command": "ls", "cwd": "x"}, context)


async def test_on_windows_it_says_what_to_use_instead(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal.sys, "platform", "win32")
    with pytest.raises(ToolError, match="Windows"):
        await call(bash(), command="true")


async def test_no_file_is_left_open(call: Call) -> None:
    tool = bash()
    await call(tool, command="true")
    before = len(os.listdir("/proc/self/fd"))
    for command in ("true", "sleep 9 & echo x", "exit 1"):
        await call(tool, command=command)
    assert len(os.listdir("/proc/self/fd")) == before


TEXT = "a\x1b[31mré\x1b]8;;http://x\x1b\\d\x1b[0m\r\nNew \x1b(B\x1b=\x9b ok\x07\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_codes_are_taken_out_wherever_the_pieces_are_cut(size: int) -> None:
    plain, data = Plain(), TEXT.encode()
    pieces = [plain.feed(data[at : at + size]) for at in range(0, len(data), size)]
    assert "".join([*pieces, plain.feed(b"", last=True)]) == "aréd\nNew  ok\n"


def test_letters_that_are_struck_twice_are_read_once() -> None:
    assert Plain().feed(b"N\bNA\bAM\bME\bE a\b\bb\n") == "NAME b\n"


def test_codes_that_never_end_hold_nothing_back_for_ever() -> None:
    plain = Plain()
    out = plain.feed(b"\x1b]0;" + b"x" * 10_000) + plain.feed(b"after", last=True)
    assert out.endswith("after")


@pytest.mark.parametrize("flood", [b"\r" * 1_000_000, b"\x1b" * 1_000_000, b"\x1b]" * 500_000, b"\x1b[1;" * 250_000])
def test_hostile_output_takes_no_longer_than_other(flood: bytes) -> None:
    plain = Plain()
    for at in range(0, len(flood), 65_536):
        plain.feed(flood[at : at + 65_536])
    assert plain.feed(b"end\n", last=True).endswith("nd\n")
