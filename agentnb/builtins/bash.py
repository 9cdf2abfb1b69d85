"""`bash`: one shell command in a terminal, without the person's keys, its output shown while it comes."""

from __future__ import annotations

import itertools
import math
import os
import signal
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from agentnb.builtins.declared import BuiltIn
from agentnb.builtins.terminal import run_command
from agentnb.errors import ToolError
from agentnb.messages import Content, JSONObject, Text
from agentnb.prompting.budget import fence
from agentnb.tools.base import ToolContext, ToolReturn
from agentnb.tools.capture import Output, left_out_mark
from agentnb.tools.references import keep
from agentnb.tools.results import to_return

#: Seconds that a command may take where neither the call nor $BASH_EXEC_TIMEOUT says another.
SECONDS = 300.0
_LONGEST = 86_400.0
#: Characters of an output that are kept; of a longer one the end as well.
_KEPT, _END = 16_000_000, 8_000


class Bash(BuiltIn):
    """Runs shell commands in `cwd` (None: where the kernel is)."""

    name = "bash"

    def __init__(
        self,
        cwd: Path | str | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
        hidden: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        """`hidden` names the variables that commands must not see: those that hold keys."""
        self.parallel = True
        self._cwd = None if cwd is None else Path(cwd)
        self._environ = environ
        self._hidden = hidden
        self._kept = itertools.count(1)

    async def run(
        self,
        context: ToolContext,
        command: str,
        cwd: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # the command's own
    ) -> ToolReturn:
        """Run a shell command with bash and get its output, standard output and error as a terminal shows them.

        Each call is a new shell: a `cd` or a variable does not last. Nobody can type into it. Processes that it leaves
        in the background end with it. Output that is too long is cut in the middle and kept in a notebook variable.

        Args:
            command: The command line, or several lines of bash.
            cwd: The folder to run it in; a relative one begins at the workspace folder.
            timeout: Seconds after which it is stopped (default 300).
        """
        folder, seconds = self._folder(cwd), self._seconds(timeout)
        output, gathered = Output(context.emit), _Gathered()

        def write(text: str) -> None:
            output.write(text)
            gathered.write(text)

        try:
            code = await run_command(command, folder=folder, environ=self._visible(), seconds=seconds, write=write)
        finally:
            output.finish()
        text = _ending(code, seconds) + (gathered.text or "(empty output)")
        given = to_return(text, lambda whole: keep(whole, self.name, self._kept, context.namespace))
        return ToolReturn(given.content, code != 0, given.handle)

    async def preview(self, arguments: JSONObject, context: ToolContext) -> tuple[Content, ...]:
        """The command and its folder. Raises ToolError for a folder that is not there."""
        given = self.checked(arguments, context)
        cwd = given.get("cwd")
        folder = self._folder(cwd if isinstance(cwd, str) else None)
        return (Text(f"In {folder}:\n{fence(str(given['command']), 'bash')}"),)

    def _folder(self, cwd: str | None) -> Path:
        folder = (self._cwd or Path.cwd()) / (cwd or "")
        try:
            found = folder.is_dir()
        except ValueError:  # a null character
            found = False
        if not found:
            raise ToolError(f"there is no folder {str(folder)!r} to run the command in")
        return folder

    def _seconds(self, asked: float | None) -> float:
        if asked is None:
            try:
                asked = float(self._environ.get("BASH_EXEC_TIMEOUT", "").strip() or SECONDS)
            except ValueError:
                raise ToolError("BASH_EXEC_TIMEOUT is set to something that is no number of seconds") from None
        if not (math.isfinite(asked) and asked > 0):
            raise ToolError(f"timeout is a number of seconds greater than 0, not {asked:g}")
        return min(asked, _LONGEST)

    def _visible(self) -> dict[str, str]:
        hidden = set(self._hidden())
        return {name: value for name, value in self._environ.items() if name not in hidden}


class _Gathered:
    """An output: all of it up to a bound, of a longer one its beginning and its end."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._room = _KEPT
        self._beyond = 0
        self._tail = ""

    def write(self, text: str) -> None:
        if self._room:
            self._pieces.append(text[: self._room])
            text = text[self._room :]
            self._room -= len(self._pieces[-1])
        if text:
            self._beyond += len(text)
            self._tail = (self._tail + text[-_END:])[-_END:]

    @property
    def text(self) -> str:
        whole = "".join(self._pieces)
        left_out = self._beyond - len(self._tail)
        end = f"\n{left_out_mark(left_out)}\n{self._tail}" if left_out else self._tail
        return (whole + end).rstrip("\n")


def _ending(code: int | None, seconds: float) -> str:
    if code is None:
        return f"Timed out after {seconds:g} s, and was stopped.\n"
    if code < 0:
        try:
            name = f" ({signal.Signals(-code).name})"
        except ValueError:
            name = ""
        return f"Exit code {code}{name}\n"
    return f"Exit code {code}\n" if code else ""
