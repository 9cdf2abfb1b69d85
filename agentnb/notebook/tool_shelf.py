"""Tools that come from files and go into them: `%tool load`, `save`, `forget`, `export`, `import`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from agentnb.errors import UsageError
from agentnb.render.terminal import clean, visible
from agentnb.tools import loading
from agentnb.tools.base import traits
from agentnb.tools.bundle import format_bundle, read_bundle
from agentnb.tools.definitions import ToolConfig
from agentnb.tools.function import FunctionTool
from agentnb.tools.naming import original
from agentnb.tools.saved import SavedTools
from agentnb.tools.sourcing import source_of
from agentnb.workspace import Workspace

_WORD = re.compile(r"""(?:'[^']*'|"[^"]*"|[^\s'"])+""")


def words(line: str) -> list[str]:
    """The words of a line; what is in quotes is one, a path with spaces for example."""
    return [re.sub(r"""'([^']*)'|"([^"]*)\"""", lambda m: m[1] or m[2] or "", word) for word in _WORD.findall(line)]


def shelf(workspace: Workspace) -> SavedTools:
    """The tools that this person keeps."""
    return workspace.saved_tools


def now_tools(names: Sequence[str]) -> str:
    """That they can be used."""
    return f"{', '.join(names)}: ready as {'a tool' if len(names) == 1 else 'tools'}."


def load(workspace: Workspace, line: str) -> str:
    """Functions of files (`path.py::name`, `path.py`), and saved ones by name; each is read anew."""
    found: list[tuple[list[FunctionTool], str]] = []
    for word in words(line):
        path, _, name = word.partition("::")
        if name or path.endswith(".py") or os.sep in path:
            found.append((loading.load(Path(path), name or None), path))
        else:
            found.append(([shelf(workspace).load(word)], "saved"))
    for tools, source in found:
        workspace.toolbox.load(tools, source)
    ids = [traits(tool).id for tools, _ in found for tool in tools]
    return now_tools([workspace.toolbox.get(tool_id).name for tool_id in dict.fromkeys(ids)])


def save(workspace: Workspace, line: str) -> str:
    """Keep functions for every notebook."""
    names = line.replace(",", " ").split()
    found = [described(workspace, name) for name in names]
    shelf(workspace).save(found)
    told = " ".join(each.name for each, _ in found)
    return f"{told.replace(' ', ', ')}: saved. In any notebook: %tool load {told}"


def forget(workspace: Workspace, line: str) -> str:
    """Delete saved tools."""
    names = line.replace(",", " ").split()
    for name in names:
        shelf(workspace).forget(name)
    return f"{', '.join(names)}: no longer saved."


def described(workspace: Workspace, name: str) -> tuple[ToolConfig, str]:
    """A tool of this notebook as a definition, with its source. Raises UsageError for one that is no function."""
    listed = workspace.toolbox.get(name)
    tool = original(listed.tool)
    if not isinstance(tool, FunctionTool):
        raise UsageError(f"{listed.name} is a tool of {listed.source}; only functions are saved. Keep {listed.source}.")
    source, function = source_of(tool)
    spec = tool.spec({})
    made = ToolConfig(
        f"function-{listed.name}",
        listed.name,
        description=spec.description,
        parameters=dict(spec.parameters),
        function_file_path=f"function-{listed.name}.py",
        function_name=function,
    )
    return made, source


def export(workspace: Workspace, line: str) -> str:
    """Put tools of this notebook, or saved ones, into one file to give away. Raises UsageError."""
    file, *names = words(line.replace(",", " "))
    path = Path(file).expanduser()
    if path.suffix != ".json" or not names:
        raise UsageError(f"%tool export takes a file and the tools that go into it: %tool export {path.stem}.json NAME")
    if path.exists():
        read_bundle(path)  # what is no bundle is not written over
    here = {each.name for each in workspace.toolbox.listed()} | {each.id for each in workspace.toolbox.listed()}
    bundle = format_bundle([described(workspace, name) if name in here else kept(workspace, name) for name in names])
    try:
        path.write_text(json.dumps(bundle, indent=2, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
    return f"{', '.join(names)}: in {path}. Elsewhere: %tool import {path.name}"


def kept(workspace: Workspace, name: str) -> tuple[ToolConfig, str]:
    """A saved tool as a definition, with its source. Raises UsageError."""
    found = shelf(workspace).find(name)
    return replace(found, function_file_path=f"{found.tool_id}.py"), shelf(workspace).source(name)


def _warnings(replaces: bool, source: str) -> str:
    hides = visible(source) != source.replace("\r\n", "\n")
    said = ["replaces the one you have saved"] * replaces + ["holds characters that nobody sees: beware"] * hides
    return f" ({'; '.join(said)})" if said else ""


def import_(workspace: Workspace, line: str, say: Callable[[str], object]) -> str:
    """Show the code of a bundle; with `--yes`, keep its tools and load them. Raises UsageError for what is none."""
    given = words(line)
    files = [word for word in given if not word.startswith("-")]
    if len(files) != 1 or set(given) - {"--yes", *files}:
        raise UsageError("%tool import takes one file, and --yes once you have read its code.")
    path = Path(files[0]).expanduser()
    bundle = read_bundle(path)
    kept = {each.name for each in shelf(workspace).list()}
    if bundle.left_out:
        say(f"Not functions, and left out: {clean(', '.join(bundle.left_out))}.")
    names = [each.name for each, _ in bundle.tools]
    if not names:
        raise UsageError(f"{path} holds no function.")
    if "--yes" not in given:
        for each, source in bundle.tools:
            say(workspace.mask(f"── {each.name}{_warnings(each.name in kept, source)} {'─' * 40}\n{visible(source)}"))
        return f"Nothing was run, and nothing kept. If you trust this code: %tool import {files[0]} --yes"
    shelf(workspace).save(bundle.tools)
    return load(workspace, " ".join(names))
