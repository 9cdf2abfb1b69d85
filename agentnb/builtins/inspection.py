"""`inspect`: a notebook variable as a model can read it; names only, so that nothing is evaluated."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Mapping
from typing import Any, ClassVar

from agentnb.builtins.changes import about
from agentnb.builtins.declared import BuiltIn
from agentnb.errors import AgentnbError, ToolError, nearest
from agentnb.messages import Content, Text
from agentnb.prompting.blocks import in_one, to_blocks
from agentnb.prompting.budget import cut
from agentnb.prompting.plain import origins
from agentnb.tools.base import Approval, ToolContext, ToolReturn
from agentnb.tools.references import SHELL

#: What an answer may take, in tokens, and the names that are offered where one is not known.
_TOKENS, _OFFERED = 4_000, 30
_TABLES = frozenset({("pandas", "DataFrame"), ("polars", "DataFrame")})


class Inspect(BuiltIn):
    """Shows what a variable holds."""

    name = "inspect"
    approval: ClassVar[Approval] = "always"

    async def run(self, context: ToolContext, name: str, what: str = "") -> ToolReturn:
        """See what a variable of the user's notebook holds: columns, statistics and sample rows of a table, the values
        of an array, the members of a list or dict, the signature, documentation and source of a function.

        Args:
            name: The variable's name; no expression.
            what: Only this column of a table, or this key of a dict.
        """
        return ToolReturn(await context.runner.run_sync(lambda: _shown(context.namespace, name, what)))


def _shown(namespace: Mapping[str, object], name: str, what: str) -> tuple[Content, ...]:
    value = _lookup(namespace, name)
    title = f"`{name}` is a {about(value)}."
    if what:
        value = _part(value, what, name)
        title = f"`{what}` of `{name}` is a {about(value)}."
    try:
        blocks = (*_signature(value), *to_blocks(value, _TOKENS))
    except AgentnbError as error:  # a path without a file
        blocks = (Text(str(error)),)
    except Exception as error:  # the repr of an object can raise anything
        blocks = (Text(f"(it cannot be shown: {type(error).__name__})"),)
    return in_one([Text(title), *blocks, *_attributes(value)])


def _lookup(namespace: Mapping[str, object], name: str) -> object:
    if name in namespace and not name.startswith("_"):
        return namespace[name]
    names = [known for known in tuple(namespace) if not known.startswith("_") and known not in SHELL]
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ToolError(f"{name[:100]!r} is not the name of a variable; expressions are not evaluated. Use python.")
    offered = f" Variables: {', '.join(names[-_OFFERED:])}." if names else " There are none."
    raise ToolError(f"there is no variable {name!r}.{nearest(name, names)}{offered}")


def _part(value: Any, what: str, name: str) -> object:
    """A column or a key, looked up by what it is called."""
    if isinstance(value, dict):
        known = {str(key): key for key in value}
    elif _TABLES & set(origins(type(value))):
        known = {str(column): column for column in value.columns}
    else:
        raise ToolError(f"`{name}` is a {about(value)}: only columns of tables and keys of dicts are looked at alone")
    if what not in known:
        raise ToolError(f"`{name}` has no {what!r}.{nearest(what, known)} It has: {cut(', '.join(known), 2_000)}.")
    return value[known[what]]


def _signature(value: object) -> tuple[Content, ...]:
    """How a function is called and what it says of itself: its source may not be there, or may not begin with it."""
    if not inspect.isroutine(value):
        return ()
    try:
        signature = f"{value.__name__}{inspect.signature(value)}"
    except (ValueError, TypeError):
        signature = f"{getattr(value, '__name__', 'function')}(…)"
    documented = inspect.getdoc(value) or ""
    return (Text(cut(f"{signature}\n{documented}".rstrip(), _TOKENS)),)


def _attributes(value: object) -> tuple[Content, ...]:
    """The attributes that an object of another kind was given, by name: none of them is asked for."""
    held = getattr(value, "__dict__", None) if not isinstance(value, type) and not inspect.isroutine(value) else None
    if not isinstance(held, dict) or inspect.ismodule(value) or type(value).__module__.startswith(("pandas", "polars")):
        return ()
    lines = [f"  {key}: {about(member)}" for key, member in list(held.items())[:40] if not str(key).startswith("_")]
    return (Text("Attributes:\n" + "\n".join(lines)),) if lines else ()
