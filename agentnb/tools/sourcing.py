"""The source of a function with what it needs of its notebook, so that it works in another one."""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import sys
import sysconfig
import textwrap
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType

from agentnb.errors import UsageError
from agentnb.models.key_shapes import known_keys
from agentnb.tools import hints
from agentnb.tools.function import FunctionTool

_LITERALS = (str, bytes, int, float, complex, bool, type(None), tuple, list, dict, set, frozenset)
#: The longest constant that is written into a file, in characters of its repr.
_LONGEST = 10_000


def source_of(tool: FunctionTool) -> tuple[str, str]:
    """The text of a Python file that defines the tool's function, and the function's name in it.

    Of a notebook's function: with the imports, constants, functions and classes it uses. Raises UsageError for one
    that uses what cannot be written down, or whose text holds a key.
    """
    function = hints.plain(tool.function)
    if not isinstance(function, FunctionType) or "<l" in function.__qualname__:  # <lambda>, <locals>
        raise UsageError(f"{tool.name} is no function with a name of its own. Write it with def, and save that.")
    text = _module_text(function)
    if text is None:
        gathered = _Gathered(tool.name)
        gathered.define(function.__name__, function, function.__globals__)
        text = gathered.text()
    if known_keys(text) != text:
        raise UsageError(f"The source of {tool.name} holds a key, which is not kept. Read it with os.environ instead.")
    return text, function.__name__


def _module_text(function: FunctionType) -> str | None:
    """The whole file of a function that comes from one; an import of it where that is installed; None in a notebook."""
    path = Path(function.__code__.co_filename)
    module = sys.modules.get(function.__module__)
    if module is None or getattr(module, "__file__", None) != str(path) or vars(module) is not function.__globals__:
        return None
    if module.__package__ or _is_installed(path):
        return f"from {function.__module__} import {function.__name__}\n"
    return path.read_text("utf-8")


def _is_installed(path: Path) -> bool:
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return any(path.is_relative_to(folder) for folder in folders)


class _Gathered:
    """What goes into the file: imports, constants, then definitions, each after those that it uses."""

    def __init__(self, tool: str) -> None:
        self._tool = tool
        self._imports: dict[str, str] = {}
        self._constants: dict[str, str] = {}
        self._definitions: dict[str, str] = {}
        self._begun: set[str] = set()

    def text(self) -> str:
        head = "\n".join([*sorted(set(self._imports.values())), *self._constants.values()])
        return "\n\n\n".join(filter(None, [head, *self._definitions.values()])) + "\n"

    def define(self, name: str, value: FunctionType | type, known: Mapping[str, object]) -> None:
        self._begun.add(name)
        source = self._source(name, value)
        for used in _names(source):
            if used in known and used not in self._begun:
                self._need(used, known[used], known)
        self._definitions[name] = source

    def _source(self, name: str, value: FunctionType | type) -> str:
        source = _class_source(value) if isinstance(value, type) else _function_source(value)
        if source is None:
            raise UsageError(f"The source of {name!r}, which {self._tool} uses, is not known. Run its cell, then save.")
        return source

    def _need(self, name: str, value: object, known: Mapping[str, object]) -> None:
        inner = hints.plain(value.function) if isinstance(value, FunctionTool) else value
        if isinstance(value, ModuleType):
            self._imports[name] = f"import {value.__name__}" + (f" as {name}" if name != value.__name__ else "")
        elif name == "get_ipython":
            self._imports[name] = "from IPython import get_ipython"
        elif line := _import(name, value):
            self._imports[name] = line
        elif isinstance(inner, FunctionType | type) and inner.__name__ == name:
            self.define(name, inner, known)
        elif (literal := _literal(value)) is not None:
            self._constants[name] = f"{name} = {literal}"
        else:
            kind = type(value).__name__
            raise UsageError(
                f"{self._tool} uses {name!r} ({kind}) of this notebook, which cannot be saved. Make it a parameter."
            )


def _names(source: str) -> list[str]:
    """Names that the source reads and does not bind itself, those in string hints among them."""
    tree = ast.parse(source)
    read, bound = dict[str, None](), set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                read[name] = None
            case ast.Name(id=name) | ast.arg(arg=name):
                bound.add(name)
        for hint in _string_hints(node):
            read |= dict.fromkeys(n.id for n in ast.walk(hint) if isinstance(n, ast.Name))
    return [name for name in read if name not in bound and not hasattr(builtins, name)]


def _string_hints(node: ast.AST) -> Iterator[ast.AST]:
    for hint in (getattr(node, "annotation", None), getattr(node, "returns", None)):
        for part in ast.walk(hint) if isinstance(hint, ast.AST) else ():
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                try:
                    yield ast.parse(part.value, mode="eval")
                except SyntaxError:  # the text of an `Annotated[int, "how many"]`
                    continue


def _function_source(function: FunctionType) -> str | None:
    try:
        return textwrap.dedent(inspect.getsource(function)).rstrip()
    except (OSError, TypeError):
        return None


def _class_source(kind: type) -> str | None:
    """A class's text from the newest cell that defines it: before Python 3.13, inspect knows none of a notebook's."""
    for lines in reversed(
        [entry[2] for entry in list(linecache.cache.values()) if len(entry) > 3 and entry[1] is None]
    ):
        text = "".join(lines)
        if f"class {kind.__name__}" not in text:
            continue
        try:
            tree = ast.parse(text)
        except SyntaxError:
            continue
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and node.name == kind.__name__:
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                return "".join(lines[first - 1 : node.end_lineno]).rstrip()
    return None


def _import(name: str, value: object) -> str | None:
    """How to import the value again, where it can be: from a module that is not a notebook."""
    home, own = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if not (isinstance(home, str) and isinstance(own, str)) or home in ("__main__", "builtins"):
        return None
    if home.startswith("_agentnb_"):
        return None
    try:
        there = getattr(import_module(home), own, None)
    except ImportError:
        return None
    return (f"from {home} import {own}" + (f" as {name}" if name != own else "")) if there is value else None


def _literal(value: object) -> str | None:
    if not isinstance(value, _LITERALS):
        return None
    written = repr(value)
    try:
        return written if len(written) <= _LONGEST and ast.literal_eval(written) == value else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
