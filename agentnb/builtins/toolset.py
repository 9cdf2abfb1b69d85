"""All built-in tools of one workspace; none is offered before the person asks for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from agentnb.builtins.bash import Bash
from agentnb.builtins.declared import SOURCE
from agentnb.builtins.fetch import Fetch
from agentnb.builtins.files import EditFile, ReadFile, WriteFile
from agentnb.builtins.folder import Folder
from agentnb.builtins.inspection import Inspect
from agentnb.builtins.python import Python
from agentnb.builtins.search import ListFiles, SearchFiles
from agentnb.builtins.undo import Undo
from agentnb.config import home
from agentnb.models.http import Http
from agentnb.tools.base import Tool


class Builtins:
    """The toolset `built-in`: `%tool on bash` or `-t bash` offers one of its tools, `-t built-in` all of them."""

    name = SOURCE
    #: Nothing that runs code or writes a file is offered unasked.
    off_by_default = True

    def __init__(
        self,
        root: Path,
        http: Http | Callable[[], Http],
        *,
        environ: Mapping[str, str] = os.environ,
        hidden: Callable[[], Iterable[str]] = tuple,
        more: Sequence[Tool] = (),
    ) -> None:
        """`root` is the workspace folder, `hidden` names the variables that hold keys, `more` are further tools."""
        self.folder = Folder(root, closed=lambda: [home(environ)])
        self.undo = Undo()
        self._tools: tuple[Tool, ...] = (
            Python(self.undo),
            Bash(root, environ=environ, hidden=hidden),
            Fetch(http, environ=environ),
            ReadFile(self.folder),
            WriteFile(self.folder, self.undo),
            EditFile(self.folder, self.undo),
            SearchFiles(self.folder),
            ListFiles(self.folder),
            Inspect(),
            *more,
        )

    def known(self) -> Sequence[Tool]:
        """All of them."""
        return self._tools

    async def ready(self) -> Sequence[Tool]:
        """All of them: nothing need be started."""
        return self._tools
