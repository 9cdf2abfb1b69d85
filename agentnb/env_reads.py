"""Which variables of the environment the code of a folder reads, and where."""

from __future__ import annotations

import ast
import json
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agentnb.errors import UsageError

#: Folders whose code is not the project's own.
SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages", "venv", "env.bak"})
#: Files that are looked at, and bytes of each.
MOST_FILES, LARGEST = 20_000, 20_000_000
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WRITTEN = re.compile(
    r"""\b(?:environ\s*(?:\.\s*(?:get|setdefault|pop)\s*\(|(?P<item>\[))|getenv\s*\()\s*(?P<quote>['"])
        (?P<name>[A-Za-z_]\w*)(?P=quote)(?(item)\s*\](?!\s*=[^=])|(?P<default>\s*,)?)""",
    re.VERBOSE,
)
_METHODS = ("get", "setdefault", "pop")
#: Cell magics whose body is Python all the same.
_PYTHON_CELLS = ("%%time", "%%timeit", "%%capture", "%%prun", "%%tool")


@dataclass(frozen=True, slots=True)
class Read:
    """A place where a variable is read: the file (and cell) with the line, and whether it goes on without one."""

    name: str
    place: str
    optional: bool


@dataclass(frozen=True, slots=True)
class Reads:
    """All the places, in the order of the files; `files` were looked at, `problems` say which could not be."""

    found: tuple[Read, ...]
    files: int
    problems: tuple[str, ...] = ()

    def by_name(self) -> dict[str, list[Read]]:
        """The places of each variable, by its name."""
        names: dict[str, list[Read]] = {}
        for read in self.found:
            names.setdefault(read.name, []).append(read)
        return dict(sorted(names.items()))


def detect(base: Path) -> Reads:
    """What the `*.py` files and the code cells of the notebooks in a folder read (or in one such file).

    No code runs. Environments of Python, `node_modules` and hidden folders are passed over. Raises UsageError where
    there is nothing of that path.
    """
    base = base.expanduser()
    try:
        is_folder, is_file = base.is_dir(), base.is_file()
    except (OSError, ValueError) as error:
        raise UsageError(f"{str(base)!r} cannot be looked at: {error}.") from None
    if not is_folder and not is_file:
        raise UsageError(f"There is no folder {str(base)!r}. %agentenv detect looks into the one you are in.")
    found: list[Read] = []
    problems: list[str] = []
    count = 0
    for path in _files(base) if is_folder else [base]:
        if count >= MOST_FILES:
            problems.append(f"Only the first {MOST_FILES:,} files were looked at. Name a folder with fewer.")
            break
        count += 1
        name = str(path.relative_to(base)) if is_folder else path.name
        try:
            found += _reads(path, name)
        except (OSError, ValueError) as error:
            problems.append(f"{name} was passed over: {getattr(error, 'strerror', None) or error}.")
    return Reads(tuple(found), count, tuple(problems))


def _files(base: Path) -> Iterator[Path]:
    for folder, below, files in os.walk(base):
        own = (each for each in below if each not in SKIPPED and not each.startswith("."))
        below[:] = sorted(each for each in own if not os.path.exists(os.path.join(folder, each, "pyvenv.cfg")))
        yield from (Path(folder, each) for each in sorted(files) if each.endswith((".py", ".ipynb")))


def _reads(path: Path, name: str) -> Iterator[Read]:
    if not path.is_file():  # a pipe would be waited for
        return
    if path.stat().st_size > LARGEST:
        raise ValueError(f"it is larger than {LARGEST // 1_000_000} MB")
    text = path.read_bytes().decode("utf-8-sig", "replace")
    if path.suffix == ".ipynb":
        yield from _of_notebook(text, name)
    else:
        yield from _of_code(text, f"{name}:")


def _of_notebook(text: str, name: str) -> Iterator[Read]:
    try:
        book = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    cells = book.get("cells") if isinstance(book, dict) else None
    for number, cell in enumerate(cells if isinstance(cells, list) else [], 1):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source", "")
        code = "".join(map(str, source)) if isinstance(source, list) else str(source)
        head = code.lstrip().split(maxsplit=1)[0] if code.strip() else ""
        if not head.startswith("%%") or head in _PYTHON_CELLS:
            yield from _of_code(_without_magics(code), f"{name} cell {number}:")


def _without_magics(code: str) -> str:
    """The code with IPython's own lines blank, so that the others keep their numbers."""
    lines = code.splitlines()
    return "\n".join(re.sub(r"\S.*", "pass", line) if line.lstrip()[:1] in ("%", "!", "?") else line for line in lines)


def _of_code(code: str, where: str) -> list[Read]:
    """The places in a text of Python: by its tree where it has one, else by how it looks."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
        finder = _Finder(where)
        finder.visit(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return [
            Read(each["name"], f"{where}{code.count(chr(10), 0, each.start()) + 1}", each["default"] is not None)
            for each in _WRITTEN.finditer(code)
        ]
    return finder.found


class _Finder(ast.NodeVisitor):
    """Collects the reads of one tree; knows what the file calls `os`, `environ` and `getenv`."""

    def __init__(self, where: str) -> None:
        self.found: list[Read] = []
        self._where = where
        self._os = {"os"}
        self._environ: set[str] = set()
        self._getenv: set[str] = set()

    def visit_Import(self, node: ast.Import) -> None:
        self._os |= {each.asname for each in node.names if each.name == "os" and each.asname}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.module == "os":
            self._environ |= {each.asname or each.name for each in node.names if each.name == "environ"}
            self._getenv |= {each.asname or each.name for each in node.names if each.name == "getenv"}

    def visit_Call(self, node: ast.Call) -> None:
        match node.func:
            case ast.Attribute(value=base, attr=method) if method in _METHODS and self._is(base, "environ"):
                self._add(node, node.args, len(node.args) > 1 or bool(node.keywords) or method != "get")
            case function if self._is(function, "getenv"):
                self._add(node, node.args, len(node.args) > 1 or bool(node.keywords))
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.ctx, ast.Load) and self._is(node.value, "environ"):
            self._add(node, [node.slice], False)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        if isinstance(node.ops[0], ast.In | ast.NotIn) and self._is(node.comparators[0], "environ"):
            self._add(node, [node.left], True)
        self.generic_visit(node)

    def _is(self, node: ast.expr, what: str) -> bool:
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                return name == what and module in self._os
            case ast.Name(id=name):
                return name in (self._environ if what == "environ" else self._getenv)
        return False

    def _add(self, node: ast.expr, args: list[ast.expr], optional: bool) -> None:
        match args:
            case [ast.Constant(value=str(name)), *_] if _NAME.fullmatch(name):
                self.found.append(Read(name, f"{self._where}{node.lineno}", optional))
