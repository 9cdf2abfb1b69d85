"""Several tools in one file, to be given to somebody else: definitions, and the source of each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agentnb.errors import UsageError
from agentnb.messages import JSON, JSONObject
from agentnb.tools.definitions import ToolConfig, format_tools, read_tools
from agentnb.tools.naming import checked_name


@dataclass(frozen=True, slots=True)
class Bundle:
    """Definitions of functions, each with its source; `left_out` names those that are no functions."""

    tools: tuple[tuple[ToolConfig, str], ...]
    left_out: tuple[str, ...] = ()


def format_bundle(tools: Sequence[tuple[ToolConfig, str]]) -> JSONObject:
    """What the file holds: `tools` as `tools.json` has them, and `files` with the source of each."""
    files: dict[str, JSON] = {str(config.function_file_path): source for config, source in tools}
    return {"tools": format_tools(config for config, _ in tools), "files": files}


def read_bundle(path: Path) -> Bundle:
    """A bundle, or a `tools.json` whose files are on this machine. Runs nothing. Raises UsageError."""
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}. Check the path.") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no bundle of tools: it is not JSON ({error}).") from None
    files = found.get("files", {}) if isinstance(found, dict) else None
    if files is not None and not isinstance(files, dict):
        raise UsageError(f"{path} is no bundle of tools: its files are no object.")
    configs = read_tools(found.get("tools") if isinstance(found, dict) else found, str(path))
    functions = [config for config in configs if config.tool_type == "function" and config.function_file_path]
    left_out = tuple(config.name for config in configs if config not in functions)
    return Bundle(tuple((config, _source(config, files, path)) for config in functions), left_out)


def _source(config: ToolConfig, files: dict[str, object] | None, path: Path) -> str:
    name = str(config.function_file_path)
    checked_name(config.name)
    if files is not None:
        source = files.get(name)
        if isinstance(source, str):
            return source
        raise UsageError(f"{path} has no source of {config.name!r}: there is no file {name!r} in it.")
    if Path(name).suffix != ".py":
        # What it names is shown in the notebook: it must not be any file of this machine.
        raise UsageError(f"{path}: the source of {config.name!r}, {name}, is no Python file.")
    try:
        return Path(name).read_text("utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: the source of {config.name!r}, {name}, cannot be read: {error}") from None
