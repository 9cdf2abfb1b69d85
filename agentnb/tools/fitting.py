"""Type hints as pydantic can read them: what JSON cannot carry becomes a reference to a notebook variable."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from types import UnionType
from typing import Annotated, Any, NotRequired, Required, Union, get_args, get_origin, get_type_hints

from agentnb.errors import ToolError, UsageError
from agentnb.tools.references import Reference
from agentnb.tools.schema import speaks_json

#: In a schema, where a reference stands until it is told of a namespace; the value is its index.
MARK = "x-notebook-variable"

_PLAIN = (str, int, float, bool, Any)
_CONTAINERS = (list, tuple, set, frozenset, deque, dict)
#: A subclass of one of these is made from what pydantic reads for it (numpy.float64, pandas.Timestamp, …).
_EXTENDED = (str, float, int, datetime, date, timedelta)


class Fitting:
    """Fits hints one by one and collects the references it made."""

    def __init__(self) -> None:
        self.references: list[Reference] = []

    def fit(self, hint: Any) -> object:
        """`hint` itself where JSON can carry it; else with references in place of what JSON cannot.

        Raises UsageError for what is neither, and pydantic's errors for hints that are wrong in themselves.
        """
        fitted = self._carried(hint)
        return self._reference((_class(hint),)) if fitted is None else fitted

    def _carried(self, hint: Any) -> object | None:
        """The hint for what JSON carries at least in part; None for a live object."""
        from typing_extensions import is_typeddict

        origin, inside = get_origin(hint), get_args(hint)
        if origin is type:  # pydantic calls a class JSON, though nothing can be sent for it
            return None
        if hint in _PLAIN or speaks_json(hint):
            return hint  # type: ignore[no-any-return]  # a hint is any object
        if origin is Annotated:
            return _apply(Annotated, (self.fit(inside[0]), *hint.__metadata__))
        if origin in (Union, UnionType):
            return self._union(inside)
        if is_typeddict(hint):
            return self._typed_dict(hint)
        if alias := getattr(hint, "__supertype__", None) or getattr(hint, "__value__", None):
            return self.fit(alias)  # NewType, and `type X = …`
        if inside and _is_container(origin):
            return _apply(origin, tuple(a if a is ... else self.fit(a) for a in inside))
        return _extension(hint)

    def _union(self, members: tuple[Any, ...]) -> object:
        carried = [(member, self._carried(member)) for member in members]
        live = tuple(_class(member) for member, fitted in carried if fitted is None)
        rest = tuple(fitted for _, fitted in carried if fitted is not None)
        if not live:
            return _apply(Union, rest)
        reference = self._reference(live)
        if rest == (type(None),) or not rest:
            return _apply(Union, (reference, *rest))
        from pydantic import Field

        # A name that fits means the variable; any other value is for the other members, the best of them.
        others = _apply(Annotated, (_apply(Union, rest), Field(union_mode="smart"))) if rest[1:] else rest[0]
        return _apply(Annotated, (_apply(Union, (reference, others)), Field(union_mode="left_to_right")))

    def _typed_dict(self, hint: Any) -> object:
        """pydantic reads `typing.TypedDict` only from Python 3.12 on; this twin has the same fields."""
        from typing_extensions import TypedDict

        fields = {}
        for name, kind in get_type_hints(hint, include_extras=True).items():
            wanted = get_origin(kind)
            marked = wanted in (Required, NotRequired)
            required = wanted is Required if marked else name in hint.__required_keys__
            fitted: Any = self.fit(get_args(kind)[0] if marked else kind)
            fields[name] = fitted if required else NotRequired[fitted]
        make: Any = TypedDict  # its fields are known at run time only
        twin: object = make(hint.__name__, fields)
        return twin

    def _reference(self, types: tuple[type, ...]) -> object:
        from pydantic import PlainValidator, ValidationInfo, WithJsonSchema
        from pydantic_core import PydanticCustomError

        reference = Reference(types)
        self.references.append(reference)

        def resolve(value: object, info: ValidationInfo) -> object:
            try:
                return reference.resolve(value, info.context or {})
            except ToolError as error:
                raise PydanticCustomError("reference", "{reason}", {"reason": str(error)}) from error

        mark = {MARK: len(self.references) - 1}
        return _apply(Annotated, (Any, PlainValidator(resolve), WithJsonSchema(mark)))


def _apply(form: Any, inside: Any) -> object:
    """`form[inside]`, for what is known at run time only."""
    applied: object = form[inside]
    return applied


def _class(hint: Any) -> type:
    live = get_origin(hint) or hint
    if isinstance(live, type):
        return live
    raise UsageError(f"the type hint {hint!r} can be neither JSON nor a notebook variable.")


def _is_container(origin: Any) -> bool:
    if origin in _CONTAINERS:
        return True
    # The abstract ones too, but not iterators: what is read once is an object of its own.
    return origin.__module__ == "collections.abc" and issubclass(origin, Iterable) and not issubclass(origin, Iterator)


def _extension(hint: Any) -> object | None:
    from pydantic import AfterValidator

    for base in _EXTENDED:
        if isinstance(hint, type) and issubclass(hint, base):
            return _apply(Annotated, (base, AfterValidator(hint)))
    return None
