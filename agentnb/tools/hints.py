"""A function's parameters with their type hints as objects, whatever kind of callable it is."""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
from collections.abc import Callable, Mapping
from types import FunctionType, MethodType, SimpleNamespace
from typing import Any, get_type_hints

from agentnb.errors import UsageError

_EMPTY = inspect.Parameter.empty


class ByName(type):
    """Classes that stand for a class of a module which is not imported: they match by its name.

    `"pd.DataFrame"` in a hint then still means a data frame, and nothing imports pandas for it.
    """

    def __getattr__(cls, name: str) -> type:
        if name.startswith("_"):
            raise AttributeError(name)
        return ByName(name, (), {})

    def __getitem__(cls, inside: object) -> type:
        return cls  # `np.ndarray[Any, np.dtype]`: what is inside cannot be checked

    def __subclasscheck__(cls, other: type) -> bool:
        return any(base.__name__ == cls.__name__ for base in other.__mro__)


def parameters(function: Callable[..., object], name: str) -> tuple[inspect.Parameter, ...]:
    """The parameters a model fills, hints unresolved. Raises UsageError for `*args` and unreadable signatures."""
    try:
        signature = inspect.signature(function)
    except NameError as error:
        raise UsageError(f"Tool {name!r}: a type hint names {error.name!r}, which is not defined.") from error
    except (ValueError, TypeError) as error:
        raise UsageError(f"Tool {name!r} has no signature to read; wrap it in a function of your own.") from error
    # What `functools.partial` binds by keyword is settled: the model is not asked for it.
    bound = function.keywords if isinstance(function, functools.partial) else {}
    found = tuple(p for p in signature.parameters.values() if p.name not in bound)
    for parameter in found:
        if parameter.kind is parameter.VAR_POSITIONAL:
            raise UsageError(
                f"Tool {name!r} takes *{parameter.name}, which a model cannot fill by name. "
                f"Use one list parameter: {parameter.name}: list[str]."
            )
    return found


def enclosing_names(function: Callable[..., object]) -> dict[str, object]:
    """What the string hints of a nested function need from the call that defines it and is still running."""
    inner = plain(function)
    outer, nested, _ = getattr(inner, "__qualname__", "").rpartition(".<locals>.")
    hints = " ".join(h for h in getattr(inner, "__annotations__", {}).values() if isinstance(h, str))
    if not (nested and hints and isinstance(inner, FunctionType)):
        return {}
    frame = inspect.currentframe()
    while frame and not (frame.f_code.co_qualname == outer and frame.f_globals is inner.__globals__):
        frame = frame.f_back
    known = frame.f_locals if frame else {}
    return {word: known[word] for word in re.findall(r"\w+", hints) if word in known}


def plain(function: object) -> object:
    """The function behind partials, methods, wrappers and callable objects: it has the hints and their globals."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, MethodType):
            function = function.__func__
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif isinstance(function, FunctionType):
            return function
        elif isinstance(call := vars(type(function)).get("__call__"), FunctionType):
            function = call
        else:
            return function


def unbound(function: object) -> object:
    """The callable inside `functools.partial`, which has neither its name nor its kind."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def resolve(
    parameter: inspect.Parameter, function: Callable[..., object], local: Mapping[str, object], *, tool: str
) -> Any:
    """The parameter's hint as an object; `Any` where there is none. Raises UsageError for one that cannot be read."""
    hint = parameter.annotation
    if hint is _EMPTY:
        return Any
    where = f"Tool {tool!r}, parameter {parameter.name!r}"
    inner = plain(function)
    known = {**_closure(inner), **local}
    while True:
        holder = SimpleNamespace(__annotations__={"hint": hint})
        try:
            return get_type_hints(holder, getattr(inner, "__globals__", {}), known, include_extras=True)["hint"]
        except NameError as error:
            missing = error.name
            if missing is None or missing in known or f"{missing}." not in str(hint):
                raise UsageError(
                    f"{where}: its type hint names {missing!r}, which is not defined. "
                    "Import or define it, or wrap the function in one of yours."
                ) from error
            known[missing] = ByName(missing, (), {})
        except (AttributeError, SyntaxError, TypeError) as error:
            raise UsageError(f"{where}: its type hint {hint!r} cannot be read: {error}") from error


def _closure(function: object) -> dict[str, object]:
    known: dict[str, object] = {}
    if isinstance(function, FunctionType):
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # a name that is not assigned yet
                known[name] = cell.cell_contents
    return known
