"""A function's arguments: what a model is told of them, and its JSON as checked Python values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import Parameter
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from agentnb.errors import ToolError, UsageError, nearest
from agentnb.messages import JSON, JSONObject
from agentnb.tools.fitting import MARK, Fitting
from agentnb.tools.schema import inlined, schema_of

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError
    from pydantic_core import ErrorDetails

#: A message to a model names at most so many problems; the first ones usually explain the others.
_PROBLEMS = 8
#: The longest default value shown in a schema, in characters.
_LONGEST_DEFAULT = 200


class Arguments:
    """The arguments of one function, with a check that is built once."""

    def __init__(self, tool: str, parameters: Sequence[Parameter], about: Mapping[str, str]) -> None:
        """`parameters` carry resolved hints, `about` what the docstring says of each. Raises UsageError."""
        self._tool = tool
        self._named = [p for p in parameters if p.kind is not Parameter.VAR_KEYWORD]
        self._positional = [p for p in self._named if p.kind is Parameter.POSITIONAL_ONLY]
        self._fitting = Fitting()
        self._adapter = self._check(parameters)
        self._template = self._describe(about)

    def schema(self, namespace: Mapping[str, object]) -> JSONObject:
        """The JSON Schema of the arguments; parameters by reference list the variables that fit now."""
        if not self._fitting.references:
            return self._template
        return {key: self._fill(value, namespace) for key, value in self._template.items()}

    def bind(self, given: JSONObject, namespace: Mapping[str, object]) -> tuple[list[object], dict[str, object]]:
        """Checked and converted positional and keyword arguments. Raises ToolError that names every problem."""
        from pydantic import ValidationError

        try:
            values = self._adapter.validate_python(given, context=namespace)
        except ValidationError as error:
            raise ToolError(self._explain(error, given)) from error
        return [values.pop(p.name, p.default) for p in self._positional], values

    def _check(self, parameters: Sequence[Parameter]) -> TypeAdapter[dict[str, object]]:
        from typing import NotRequired

        from pydantic import ConfigDict, TypeAdapter
        from typing_extensions import TypedDict

        fields: dict[str, object] = {}
        rest: dict[str, object] = {}
        for parameter in parameters:
            hint: Any = self._fit(parameter)
            if parameter.kind is Parameter.VAR_KEYWORD:
                rest["extra_items"] = hint
            else:
                fields[parameter.name] = hint if parameter.default is Parameter.empty else NotRequired[hint]
        make: Any = TypedDict  # its fields are known at run time only
        kind = make("Arguments", fields, **rest)
        # Small models write a number where a text is wanted: an id, a year.
        kind.__pydantic_config__ = ConfigDict(extra="allow" if rest else "forbid", coerce_numbers_to_str=True)
        return TypeAdapter(kind)

    def _fit(self, parameter: Parameter) -> object:
        from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
        from pydantic.fields import FieldInfo

        where = f"Tool {self._tool!r}, parameter {parameter.name!r}"
        if isinstance(parameter.default, FieldInfo):
            raise UsageError(f"{where}: write Annotated[type, Field(…)] = default instead of = Field(…).")
        try:
            return self._fitting.fit(parameter.annotation)
        except (PydanticUserError, PydanticUndefinedAnnotation, UsageError) as error:
            raise UsageError(f"{where}: {str(error).splitlines()[0]}") from error

    def _describe(self, about: Mapping[str, str]) -> JSONObject:
        schema = schema_of(self._adapter)
        properties = schema["properties"]
        assert isinstance(properties, dict)
        for parameter in self._named:
            if parameter.name not in properties:
                raise UsageError(f"Tool {self._tool!r}, parameter {parameter.name!r}: leave out the alias.")
            place = properties[parameter.name]
            assert isinstance(place, dict)
            text = place.get("description") or _note(parameter.annotation) or about.get(parameter.name)
            if text:
                place["description"] = text
            place.update(_default(parameter.default))
        return inlined(schema)

    def _fill(self, node: JSON, namespace: Mapping[str, object]) -> JSON:
        if isinstance(node, list):
            return [self._fill(item, namespace) for item in node]
        if not isinstance(node, dict):
            return node
        match node.get(MARK):
            case int(index):
                reference = self._fitting.references[index]
                rest = {key: value for key, value in node.items() if key not in (MARK, "description")}
                return {**reference.schema(namespace, str(node.get("description", ""))), **rest}
            case _:
                return {key: self._fill(value, namespace) for key, value in node.items()}

    def _explain(self, error: ValidationError, given: JSONObject) -> str:
        """All problems in one line that a model can act on; the members of a union share one of them."""
        problems: dict[str, list[str]] = {}
        for detail in error.errors(include_url=False, include_context=False):
            place = _place(detail, given)
            said = problems.setdefault(place, [])
            said.append(self._problem(detail, place))
        lines = [" or ".join(dict.fromkeys(said)) for said in problems.values()]
        more = f" (and {len(lines) - _PROBLEMS} more)" if len(lines) > _PROBLEMS else ""
        text = "; ".join(line.rstrip(".") for line in lines[:_PROBLEMS]) + more
        return text[0].upper() + text[1:] + ("" if text.endswith("?") else ".")

    def _problem(self, detail: ErrorDetails, place: str) -> str:
        message = detail["msg"].partition(", unable")[0].removeprefix("Value error, ")
        match detail["type"]:
            case "extra_forbidden" | "unexpected_keyword_argument":
                if len(detail["loc"]) > 1:
                    return f"unknown argument {place!r}"
                known = [p.name for p in self._named]
                hint = nearest(place, known) or f" {self._tool} takes {', '.join(known) or 'no arguments'}."
                return f"unknown argument {place!r}.{hint}"
            case "missing":
                return f"argument {place!r} is missing"
            case "reference":
                return f"argument {place!r}: {message}"
            case _:
                return f"argument {place!r}: {message[:1].lower()}{message[1:]}, got {_short(detail['input'])}"


def _place(detail: ErrorDetails, given: JSONObject) -> str:
    """`filter.items[2]`: the path into what was given, without the names pydantic has for a union's members."""
    path = ""
    here: JSON = given
    for step in detail["loc"]:
        if isinstance(here, list) and isinstance(step, int):
            path, here = f"{path}[{step}]", here[step]
        elif isinstance(here, dict) and step in here:
            path, here = f"{path}.{step}", here[step]
    if detail["type"] == "missing":
        path = f"{path}.{detail['loc'][-1]}"
    return path.removeprefix(".")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _note(hint: object) -> str | None:
    """The plain text of `Annotated[int, "how many"]`."""
    notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((n for n in notes if isinstance(n, str)), None)


def _default(value: object) -> JSONObject:
    """`{"default": …}` for a default that says something and that JSON can show shortly, else nothing."""
    from pydantic_core import to_jsonable_python

    if value is Parameter.empty or value is None:
        return {}
    try:
        plain = to_jsonable_python(value)
    except (ValueError, TypeError, RecursionError):
        return {}
    return {"default": plain} if len(str(plain)) <= _LONGEST_DEFAULT else {}
