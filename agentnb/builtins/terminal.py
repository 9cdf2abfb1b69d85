"""Runs one command in a terminal of its own, reads what it prints, and leaves none of its processes behind."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import re
import shutil
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from agentnb.builtins.processes import end_all
from agentnb.errors import ToolError

_ROWS, _COLUMNS = 24, 80
#: What a program is told of its terminal: its size, and that nobody turns pages or types a password.
_TERMINAL = {
    "TERM": "xterm",
    "COLUMNS": str(_COLUMNS),
    "LINES": str(_ROWS),
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "MANPAGER": "cat",
    "SYSTEMD_PAGER": "",
    "GIT_TERMINAL_PROMPT": "0",
}
#: The variable by which every process of a command is known, wherever it has gone.
MARK = "agentnb_command"
#: Nobody types: so many times a program that reads is told that there is nothing.
_END_OF_INPUT = b"\x04" * 64
#: Bytes read before others get their turn, and the most that are read once the command has ended.
_AT_ONCE, _AFTERWARDS = 65_536, 4_000_000

_PLAIN_BYTES = bytes([*b"\t\n", *range(0x20, 0x7F)])
#: Titles, colours, cursor movements, other commands to a terminal; control characters.
_CODES = re.compile(
    r"\x1b[\]P_^X][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-Z\\^-~]"
    r"|[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]"
)
#: What may go on in the next piece.
_UNFINISHED = re.compile(
    r"(?:\x1b(?:[\]P_^X][^\x07\x1b]{0,4096}\x1b?|\[[0-?]{0,64}[ -/]{0,8}|[ -/]{0,8})|(?<!\r)\r+)\Z"
)
_LONGEST_CODE = 5_000


class Plain:
    """What a terminal would show, as plain text, piece by piece: no colours, no cursor, plain line ends."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = ""

    def feed(self, data: bytes, *, last: bool = False) -> str:
        """The text of the next bytes."""
        if not self._pending and not self._decoder.getstate()[0] and not data.translate(None, _PLAIN_BYTES):
            return data.decode("ascii")
        text = self._pending + self._decoder.decode(data, last)
        self._pending = ""
        if not last and (tail := _UNFINISHED.search(text, max(0, len(text) - _LONGEST_CODE))):
            text, self._pending = text[: tail.start()], tail[0]
        text = _CODES.sub("", text).replace("\x1b", "")
        text = re.sub(r"[^\n\b]\x08", "", text).replace("\b", "")  # bold, as old manuals write it
        return re.sub(r"(?<!\r)\r+\n", "\n", text)


async def run_command(
    command: str,
    *,
    folder: Path,
    environ: Mapping[str, str],
    seconds: float,
    write: Callable[[str], object],
) -> int | None:
    """The exit code of a shell command, negative for a signal; None where it took too long and was stopped.

    `write` gets its output while it comes. Its processes end with it: also those in the background, and where the
    call is given up all of them, wherever they have gone. Raises ToolError where it cannot be started.
    """
    if sys.platform == "win32":
        raise ToolError("bash needs a terminal that Windows does not have. Use python with subprocess instead.")
    mark, terminal = uuid.uuid4().hex, _Terminal(write)
    try:
        process = await terminal.start(command, folder, {**environ, **_TERMINAL, MARK: mark})
        given_up = True
        try:
            async with asyncio.timeout(seconds):
                code: int | None = await process.wait()
                given_up = False
        except TimeoutError:
            code = None
        finally:
            await end_all(process.pid, f"{MARK}={mark}" if given_up else None)
            await process.wait()
        return code
    finally:
        terminal.close()


class _Terminal:
    """A terminal of 80 × 24 whose output is read by the running loop."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._plain = Plain()
        self._ours, self._theirs = os.openpty()
        self._loop = asyncio.get_running_loop()

    async def start(self, command: str, folder: Path, environ: Mapping[str, str]) -> asyncio.subprocess.Process:
        self._prepare()
        shell = shutil.which("bash", path=environ.get("PATH")) or "/bin/sh"
        try:
            process = await asyncio.create_subprocess_exec(
                shell, "-c", command,
                cwd=folder, env=environ, stdin=self._theirs, stdout=self._theirs, stderr=self._theirs,
                start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as error:  # ValueError: a null character
            raise ToolError(f"the command could not be started: {error}") from None
        finally:
            os.close(self._theirs)
        self._loop.add_reader(self._ours, self._read, _AT_ONCE)
        return process

    def _prepare(self) -> None:
        import termios

        termios.tcsetwinsize(self._theirs, (_ROWS, _COLUMNS))
        mode = termios.tcgetattr(self._theirs)
        mode[1] &= ~termios.OPOST  # line ends as they are written
        mode[3] &= ~termios.ECHO
        termios.tcsetattr(self._theirs, termios.TCSANOW, mode)
        os.set_blocking(self._ours, False)
        os.write(self._ours, _END_OF_INPUT)

    def _read(self, most: int) -> bool:
        """Read what is there; whether there may be more."""
        pieces, room = [], most
        with contextlib.suppress(BlockingIOError, OSError):  # EIO: no process has the terminal any more
            while room > 0 and (piece := os.read(self._ours, room)):
                pieces.append(piece)
                room -= len(piece)
        if pieces:
            self._write(self._plain.feed(b"".join(pieces)))
        else:
            self._loop.remove_reader(self._ours)  # readable, and nothing to read: that is its end
        return bool(pieces)

    def close(self) -> None:
        """Read what is left, and let go of the terminal."""
        self._read(_AFTERWARDS)
        self._write(self._plain.feed(b"", last=True))
        self._loop.remove_reader(self._ours)
        os.close(self._ours)
