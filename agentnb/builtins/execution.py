"""Runs code as a cell is run: statements, then the value of the last expression; tracebacks are of its own lines."""

from __future__ import annotations

import ast
import inspect
import linecache
import traceback
from collections.abc import Awaitable
from dataclasses import dataclass
from types import CodeType

from agentnb.errors import ToolError
from agentnb.tools.capture import printable

_FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
#: A traceback has at most so many frames.
_FRAMES = 8


@dataclass(frozen=True, slots=True)
class Code:
    """Compiled code: `body` are the statements, `last` the expression that they end with; `awaits` at top level."""

    filename: str
    body: CodeType
    last: CodeType | None

    @property
    def awaits(self) -> bool:
        """Whether it awaits at top level, and so needs a loop."""
        return any(code.co_flags & inspect.CO_COROUTINE for code in (self.body, self.last) if code)

    def run(self, scope: dict[str, object]) -> object:
        """Run it and give the value of the last expression; None where there is none."""
        exec(self.body, scope)
        return eval(self.last, scope) if self.last else None

    async def run_async(self, scope: dict[str, object]) -> object:
        """The same for code that awaits."""
        value: object = None
        for code in (self.body, self.last):
            if code is not None:
                value = eval(code, scope)
                if code.co_flags & inspect.CO_COROUTINE and isinstance(value, Awaitable):
                    value = await value
        return value if self.last else None


def compiled(source: str, filename: str) -> Code:
    """Compile a cell's code. Raises ToolError for what is not Python, with the place."""
    try:
        tree = compile(source, filename, "exec", ast.PyCF_ONLY_AST | _FLAGS, dont_inherit=True)
        assert isinstance(tree, ast.Module)
        last = None
        if tree.body and isinstance(tree.body[-1], ast.Expr) and not source.rstrip().endswith(";"):
            last = tree.body.pop()
        body = compile(tree, filename, "exec", _FLAGS, dont_inherit=True)
        tail = (
            compile(ast.Expression(last.value), filename, "eval", _FLAGS, dont_inherit=True)
            if isinstance(last, ast.Expr)
            else None
        )
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        said = "".join(traceback.format_exception_only(error)).rstrip()
        commands = " Only Python runs here: no lines with ! or %." if source.lstrip()[:1] in ("!", "%") else ""
        raise ToolError(f"{said}{commands}\nNothing was run.") from None
    # So that tracebacks, and `inspect.getsource` later, find its lines.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    return Code(filename, body, tail)


def told(error: BaseException, filename: str) -> str:
    """The traceback from the code's own lines on: those that led there would only be in the way."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename != filename:
        frames = frames.tb_next
    try:
        text = "".join(traceback.format_exception(type(error), error, frames, limit=-_FRAMES))
    except Exception:  # the error's own `__str__` is code of the user's
        text = f"{type(error).__name__} (its text cannot be read)"
    return printable(text.rstrip())
