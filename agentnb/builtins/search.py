"""`search_files` and `list_files`: what there is in the workspace folder, and where something stands."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
from itertools import islice
from pathlib import Path
from typing import ClassVar

from agentnb.builtins import seek
from agentnb.builtins.declared import BuiltIn
from agentnb.builtins.folder import Folder
from agentnb.errors import ToolError
from agentnb.messages import Text
from agentnb.prompting.plain import plural, size
from agentnb.tools.base import Approval, ToolContext, ToolReturn

#: Finds and files that are told, and seconds that a search may take.
_FINDS, _FILES, _SECONDS = 200, 500, 30.0
#: Bytes of one line of what the search writes.
_WIDEST = 1_000_000


class SearchFiles(BuiltIn):
    """Searches in the text of files."""

    name = "search_files"
    approval: ClassVar[Approval] = "always"

    def __init__(self, folder: Folder, *, seconds: float = _SECONDS) -> None:
        self.parallel = True
        self._folder = folder
        self._seconds = seconds

    async def run(
        self,
        context: ToolContext,  # noqa: ARG002
        pattern: str,
        glob: str = "*",
        path: str = ".",
        regex: bool = True,
        ignore_case: bool = False,
    ) -> ToolReturn:
        """Search the text of the files in the workspace folder; gives path:line: text for each line that matches.

        Binary files, .git, node_modules and the like are left out.

        Args:
            pattern: What to look for: a regular expression as Python has them.
            glob: Which files: *.py, src/**/*.ts
            path: The folder to look in, from the workspace folder on.
            regex: false to look for the pattern as it is written.
            ignore_case: true to take A and a as the same.
        """
        _check(pattern, regex)
        root = _directory(self._folder, path)
        order = {"pattern": pattern, "glob": glob, "regex": regex, "ignore_case": ignore_case}
        closed = [str(each) for each in self._folder.closed]
        lines, late = await self._seek({**order, "root": str(root), "closed": closed, "most": _FINDS + 1})
        prefix = self._folder.relative(root)
        finds = [_told(line, prefix) for line in lines]
        text = "\n".join(finds[:_FINDS]) or f"Nothing matches {pattern!r} in {glob} of {path}."
        if len(finds) > _FINDS:
            text += f"\n… more than {_FINDS} lines match: look for something more special, or in fewer files …"
        if late:
            text += f"\n… the search was stopped after {self._seconds:g} s …"
        return ToolReturn((Text(text),))

    async def _seek(self, order: dict[str, object]) -> tuple[list[str], bool]:
        """The finds as lines of JSON, and whether the time was up before the end."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", seek.__file__,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            limit=_WIDEST,
        )  # fmt: skip
        assert process.stdin
        assert process.stdout
        lines: list[str] = []
        late = False
        try:
            async with asyncio.timeout(self._seconds):
                process.stdin.write(json.dumps(order).encode())
                process.stdin.close()
                async for line in process.stdout:
                    lines.append(line.decode())  # noqa: PERF401  what was found before the time is up counts
                if await process.wait():
                    raise ToolError("the search failed; try a simpler pattern")
        except TimeoutError:
            late = True
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
        return lines, late


class ListFiles(BuiltIn):
    """Lists files."""

    name = "list_files"
    approval: ClassVar[Approval] = "always"

    def __init__(self, folder: Folder) -> None:
        self.parallel = True
        self._folder = folder

    async def run(self, context: ToolContext, glob: str = "*", path: str = ".") -> ToolReturn:  # noqa: ARG002
        """List the files in the workspace folder and the folders below, with their sizes.

        Args:
            glob: Which files: *.csv, data/**/*.parquet
            path: The folder to look in, from the workspace folder on.
        """
        root = _directory(self._folder, path)
        return ToolReturn((Text(await asyncio.to_thread(self._listed, root, glob)),))

    def _listed(self, root: Path, glob: str) -> str:
        prefix = self._folder.relative(root)
        files = list(islice(seek.walk(str(root), glob, [str(each) for each in self._folder.closed]), _FILES + 1))
        lines = []
        for relative, full in files[:_FILES]:
            with contextlib.suppress(OSError):  # gone meanwhile
                lines.append(f"{_joined(prefix, relative)}  ({size(Path(full).stat().st_size)})")
        if not lines:
            return f"No file matches {glob}."
        more = f"\n… more than {_FILES} files: choose fewer with glob or path …" if len(files) > _FILES else ""
        return f"{plural(len(lines), 'file')}:\n" + "\n".join(lines) + more


def _check(pattern: str, regex: bool) -> None:
    if not pattern:
        raise ToolError("pattern is empty: say what to look for")
    if regex:
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise ToolError(f"pattern is no regular expression ({error}). Mend it, or say regex=false.") from None


def _directory(folder: Folder, path: str) -> Path:
    real = folder.resolve(path)
    if not real.is_dir():
        raise ToolError(f"{path!r} is no folder of the workspace")
    return real


def _told(line: str, prefix: str) -> str:
    found = json.loads(line)
    return f"{_joined(prefix, found['path'])}:{found['line']}: {found['text']}"


def _joined(prefix: str, relative: str) -> str:
    return relative if prefix == "." else f"{prefix}/{relative}"
