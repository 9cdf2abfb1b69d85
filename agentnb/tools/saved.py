"""Tools that a person keeps for every notebook: definitions in `tools.json`, the source of each beside it."""

from __future__ import annotations

import json
import os
import stat
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from agentnb.errors import UsageError, nearest
from agentnb.messages import JSON
from agentnb.models.private_files import locked
from agentnb.tools.definitions import ToolConfig, format_tools, parse_tools
from agentnb.tools.function import FunctionTool
from agentnb.tools.loading import load
from agentnb.tools.naming import checked_name

FILE = "tools.json"


class SavedTools:
    """The kept tools of one folder, which only its owner can read. Several processes may use it at once.

    `imported` gives definitions that came from elsewhere, whose files lie where they lay; one that is kept here under
    the same name goes before.
    """

    def __init__(self, folder: Path, imported: Callable[[], Sequence[ToolConfig]] = tuple) -> None:
        self.folder = folder
        self._imported = imported

    def list(self) -> list[ToolConfig]:
        """What is kept, oldest first. Raises UsageError for a file that cannot be read."""
        own = self._own()
        names = {each.name for each in own}
        return [*own, *(each for each in self._imported() if each.name not in names)]

    def _own(self) -> Sequence[ToolConfig]:
        path = self.folder / FILE
        try:
            return parse_tools(path.read_bytes(), str(path))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}. Make it a file that you may read.") from None

    def find(self, name: str) -> ToolConfig:
        """One of them, by name or id. Raises UsageError that names the nearest."""
        kept = self.list()
        for same in (lambda each: each.name == name, lambda each: each.tool_id == name):
            if found := next(filter(same, kept), None):
                return found
        near = nearest(name, [each.name for each in kept])
        raise UsageError(f"No saved tool {name!r}.{near} %tool saved lists them; a file is named with its .py.")

    def save(self, tools: Sequence[tuple[ToolConfig, str]]) -> None:
        """Keep definitions, each with its source; those of the same names are replaced. Raises AgentnbError."""
        with locked(self.folder / ".lock"):
            kept = {each.name: each for each in self._own()}
            for config, source in tools:
                path = self.folder / f"function-{checked_name(config.name)}.py"
                _write(path, source)
                kept.pop(config.name, None)
                kept[config.name] = replace(config, tool_id=path.stem, function_file_path=str(path))
            self._put(list(kept.values()))

    def forget(self, name: str) -> None:
        """Delete a definition, and its source where that is in this folder. Raises UsageError for an unknown one."""
        with locked(self.folder / ".lock"):
            gone, own = self.find(name), self._own()
            if gone not in own:
                raise UsageError(f"{name!r} was imported, and its file is not agentnb's. It is left where it is.")
            self._put([each for each in own if each != gone])
            if gone.function_file_path and (path := Path(gone.function_file_path)).parent == self.folder:
                path.unlink(missing_ok=True)

    def source(self, name: str) -> str:
        """The source of a kept function. Raises UsageError."""
        path = _path(self.find(name))
        try:
            return path.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise UsageError(f"The source of {name!r}, {path}, cannot be read: {error}. %tool forget {name}") from None

    def load(self, name: str) -> FunctionTool:
        """A kept function as a tool; its code runs. Raises UsageError for one that others could have changed."""
        config = self.find(name)
        path = _path(config)
        if sys.platform != "win32" and path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o022:
            raise UsageError(f"Others can write {path}, so it is not run. Read it, then: chmod go-w {path}")
        [tool] = load(path, config.function_name or config.name)
        if tool.name == config.name and (tool.description or not config.description):
            return tool
        return FunctionTool(
            tool.function,
            name=config.name,
            description=tool.description or config.description,
            thread=tool.thread,
            parallel=tool.parallel,
        )

    def _put(self, tools: Sequence[ToolConfig]) -> None:
        value: list[JSON] = format_tools(tools)
        _write(self.folder / FILE, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _path(config: ToolConfig) -> Path:
    if config.tool_type == "skill" and config.skill_dir:
        raise UsageError(f"{config.name} is a skill. Load it with: %skill load {config.skill_dir}")
    if config.tool_type != "function" or not config.function_file_path:
        raise UsageError(f"{config.name} is kept as a tool of type {config.tool_type}, not as a function of a file.")
    return Path(config.function_file_path).expanduser()


def _write(path: Path, text: str) -> None:
    """Put a text in the place of a file, whole or not at all."""
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written: {error.strerror}. Set AGENTNB_HOME to another folder.") from None
