"""Everything that is no data: errors, functions, classes, modules, and objects that draw themselves."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from types import ModuleType

from agentnb.messages import Content, Text
from agentnb.prompting.budget import CHARS_PER_TOKEN, cut, fence, one_line
from agentnb.prompting.pictures import image_from_bytes, image_type
from agentnb.prompting.plain import safe_repr


def error_text(value: BaseException, room: int) -> str:
    """The traceback, its end first to be kept: there the error is."""
    lines = "".join(traceback.format_exception(value)).rstrip()
    name = type(value).__name__
    if value.__traceback__ is None and not value.__cause__:
        return cut(lines, room, tail=0.8)
    return f"{name}:\n{fence(cut(lines, room - len(name) - 12, tail=0.8))}"


def source_text(value: Callable[..., object] | type, room: int) -> str:
    """The source of a function or class, or its signature and what it says of itself."""
    kind = "class" if isinstance(value, type) else "function"
    title = f"{kind} {getattr(value, '__qualname__', type(value).__name__)}"
    try:
        source = inspect.cleandoc("\n" + inspect.getsource(value))
        return f"{title}:\n{fence(cut(source, room - len(title) - 20), 'python')}"
    except (OSError, TypeError):  # built in, or typed into a prompt that kept no source
        return cut(f"{title}{_signature(value)}{_first_line(value)}", room)


def _signature(value: Callable[..., object]) -> str:
    try:
        return str(inspect.signature(value))
    except (ValueError, TypeError):
        return ""


def _first_line(value: object) -> str:
    doc = inspect.getdoc(value) or ""
    return f" — {one_line(doc.partition(chr(10))[0], 200)}" if doc else ""


def module_text(value: ModuleType, room: int) -> str:
    """Name, version, first line of its documentation and its public names."""
    version = vars(value).get("__version__", "")
    names = [name for name in vars(value) if not name.startswith("_")]
    head = f"module {value.__name__} {version}".rstrip() + _first_line(value)
    return cut(f"{head}\nNames: {', '.join(names)}" if names else head, room)


def drawn(value: object, budget: int) -> tuple[Content, ...] | None:
    """What the object shows in a notebook, where that is a picture or Markdown: `_repr_png_` and its kin."""
    for method in ("_repr_png_", "_repr_jpeg_"):
        data = _called(value, method)
        if isinstance(data, bytes) and image_type(data):
            return (image_from_bytes(data, type(value).__name__),)
    markdown = _called(value, "_repr_markdown_")
    return (Text(cut(markdown, budget * CHARS_PER_TOKEN)),) if isinstance(markdown, str) else None


def _called(value: object, method: str) -> object:
    # Looked up on the class, as Python does for special methods: objects that answer to any name are not asked.
    function = getattr(type(value), method, None)
    found = function(value) if callable(function) else None
    return found[0] if isinstance(found, tuple) and found else found  # (data, metadata) is allowed


def repr_text(value: object, room: int) -> str:
    """The last resort."""
    return cut(safe_repr(value), room)
