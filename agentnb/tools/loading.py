"""Functions of a Python file as tools: the file is read anew each time, and what is wrong with it is one line."""

from __future__ import annotations

import importlib.util
import inspect
import linecache
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from agentnb.errors import UsageError, nearest
from agentnb.tools.function import FunctionTool, as_tool

_NEXT = "No tool was loaded."


def load(path: Path, name: str | None = None) -> list[FunctionTool]:
    """The function `name` of a file as a tool; without a name, those it marks with `@tool`, else all its public
    functions that have a docstring. The file's code runs. Raises UsageError that names the file and the line.
    """
    path = path.expanduser().absolute()
    module = _run(path)
    if name is not None:
        return [_one(module, path, name)]
    marked = {id(value): value for value in vars(module).values() if isinstance(value, FunctionTool)}
    functions: list[Callable[..., object]] = [*(marked.values() or _documented(module))]
    if not functions:
        raise UsageError(f"{path} has no function with @tool, and none with a docstring. Add one, or name a function.")
    return [_tool(function, path) for function in functions]


def _one(module: ModuleType, path: Path, name: str) -> FunctionTool:
    value = vars(module).get(name)
    if value is None:
        callables = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise UsageError(f"{path} has no function {name!r}.{nearest(name, callables)} {_NEXT}")
    if not callable(value):
        raise UsageError(f"{name!r} of {path} is a {type(value).__name__}, not a function. {_NEXT}")
    return _tool(value, path)


def _tool(function: Callable[..., object], path: Path) -> FunctionTool:
    try:
        made = as_tool(function)
        if not isinstance(made, FunctionTool):  # a tool of another kind that can be called as well
            made = FunctionTool(function)
        made.spec({})
    except UsageError as error:
        raise UsageError(f"{path}: {error} {_NEXT}") from error
    return made


def _documented(module: ModuleType) -> Iterator[FunctionType]:
    for name, value in vars(module).items():
        own = isinstance(value, FunctionType) and value.__module__ == module.__name__
        if own and not name.startswith("_") and inspect.getdoc(value):
            yield value


def _run(path: Path) -> ModuleType:
    """The file's module, fresh from the disk. Not by the import system: its caches may hold what was there before."""
    code = _compiled(path)
    name = f"_agentnb_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # the file ends in .py
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    # Where dataclasses and pydantic look the names of hints up.
    sys.modules[name] = module
    try:
        with _beside(path):
            exec(code, vars(module))  # the user's own file
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        if before is not None:
            sys.modules[name] = before
        raise UsageError(f"{path}{_line(error, path)}: {_said(error)}. {_NEXT}") from error
    return module


def _compiled(path: Path) -> CodeType:
    if path.suffix != ".py":
        raise UsageError(f"{path} is no Python file: its name does not end in .py. {_NEXT}")
    linecache.checkcache(str(path))  # tracebacks and inspect show the file as it is now
    try:
        return compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}. Check the path. {_NEXT}") from None
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UsageError(f"{path}{line}: {type(error).__name__}: {said}. {_NEXT}") from None


@contextmanager
def _beside(path: Path) -> Iterator[None]:
    """Let the file import the modules beside it, as a script does."""
    folder = str(path.parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _line(error: BaseException, path: Path) -> str:
    """Where in the file it went wrong: the deepest of its own lines."""
    frames = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f", line {frames[-1]}" if frames else ""


def _said(error: BaseException) -> str:
    words = " ".join(str(error).split())[:300].removesuffix(".")
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
