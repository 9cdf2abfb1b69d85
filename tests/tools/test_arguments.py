from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import pathlib
import typing
from typing import Annotated, Any, Literal, Optional

import pytest
from inline_snapshot import snapshot
from pydantic import BaseModel, Field

from agentnb.errors import ToolError, UsageError
from agentnb.messages import JSONObject
from agentnb.tools.function import FunctionTool, tool


class Color(enum.Enum):
    """A colour."""

    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.0


class Filter(typing.TypedDict):
    column: str
    limit: typing.NotRequired[int]


class Order(BaseModel):
    title: str
    lines: list[Point] = []


class Tree(BaseModel):
    children: list[Tree] = []


def parameters(f: FunctionTool) -> JSONObject:
    return dict(f.spec({}).parameters)


def properties(f: FunctionTool) -> Any:
    return parameters(f)["properties"]


def bind(f: FunctionTool, **given: Any) -> dict[str, object]:
    positional, named = f._arguments.bind(given, {})
    return {**dict(enumerate(positional)), **named}  # type: ignore[dict-item]


def refusal(f: FunctionTool, **given: Any) -> str:
    with pytest.raises(ToolError) as caught:
        bind(f, **given)
    return str(caught.value)


def test_the_schema_of_a_function_is_compact() -> None:
    @tool
    def search(query: str, limit: int = 5, exact: bool | None = None) -> None:
        """Search.

        Args:
            query: What to look for.
        """

    assert parameters(search) == snapshot(
        {
            "additionalProperties": False,
            "properties": {
                "query": {"type": "string", "description": "What to look for."},
                "limit": {"type": "integer", "default": 5},
                "exact": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
            },
            "required": ["query"],
            "type": "object",
        }
    )


def test_every_kind_of_hint_has_a_schema() -> None:
    @tool
    def f(
        a: Optional[int],  # noqa: UP045
        b: Literal["x", "y"],
        c: Color,
        d: list[int],
        e: dict[str, float],
        g: tuple[int, str],
        h: set[str],
        i: Point,
        j: Filter,
        k: datetime.datetime,
        m: pathlib.Path,
        n: int | str,
        o: Any,
        p: typing.Sequence[int],
    ) -> None: ...

    assert properties(f) == snapshot(
        {
            "a": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "b": {"enum": ["x", "y"], "type": "string"},
            "c": {"description": "A colour.", "enum": ["red", "blue"], "type": "string"},
            "d": {"items": {"type": "integer"}, "type": "array"},
            "e": {"additionalProperties": {"type": "number"}, "type": "object"},
            "g": {
                "maxItems": 2,
                "minItems": 2,
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
                "type": "array",
            },
            "h": {"items": {"type": "string"}, "type": "array", "uniqueItems": True},
            "i": {
                "additionalProperties": False,
                "properties": {"x": {"type": "integer"}, "y": {"default": 0.0, "type": "number"}},
                "required": ["x"],
                "type": "object",
            },
            "j": {
                "additionalProperties": False,
                "properties": {"column": {"type": "string"}, "limit": {"type": "integer"}},
                "required": ["column"],
                "type": "object",
            },
            "k": {"format": "date-time", "type": "string"},
            "m": {"format": "path", "type": "string"},
            "n": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            "o": {},
            "p": {"items": {"type": "integer"}, "type": "array"},
        }
    )


def test_values_arrive_as_the_hinted_types() -> None:
    @tool
    def f(c: Color, i: Point, k: datetime.date, m: pathlib.Path, d: decimal.Decimal, h: set[int], o: Order) -> None: ...

    given = {"c": "blue", "i": {"x": "3"}, "k": "2024-02-29", "m": "a/b", "d": "1.10", "h": [1, 1]}
    assert bind(f, **given, o={"title": "t", "lines": [{"x": 1}]}) == {
        "c": Color.BLUE,
        "i": Point(3, 0.0),
        "k": datetime.date(2024, 2, 29),
        "m": pathlib.Path("a/b"),
        "d": decimal.Decimal("1.10"),
        "h": {1},
        "o": Order(title="t", lines=[Point(1)]),
    }


def test_a_property_called_title_is_not_noise() -> None:
    @tool
    def f(order: Order) -> None: ...

    assert properties(f)["order"]["properties"]["title"] == {"type": "string"}


def test_a_recursive_model_keeps_its_definition() -> None:
    @tool
    def f(tree: Tree) -> None: ...

    assert properties(f)["tree"] == {"$ref": "#/$defs/Tree"}
    assert bind(f, tree={"children": [{}]}) == {"tree": Tree(children=[Tree()])}


def test_annotated_gives_constraints_and_descriptions() -> None:
    @tool
    def f(n: Annotated[int, Field(ge=1, description="From the field.")], k: Annotated[str, "As a note."]) -> None:
        """F.

        Args:
            n: From the docstring.
            k: From the docstring.
        """

    assert properties(f) == snapshot(
        {
            "n": {"description": "From the field.", "minimum": 1, "type": "integer"},
            "k": {"type": "string", "description": "As a note."},
        }
    )
    assert refusal(f, n=0, k="") == snapshot("Argument 'n': input should be greater than or equal to 1, got 0.")


def test_a_description_of_the_parameter_replaces_that_of_its_type() -> None:
    @tool
    def f(c: Color) -> None:
        """F.

        Args:
            c: Of the line.
        """

    assert properties(f)["c"]["description"] == "Of the line."


def test_without_a_hint_any_json_value_is_taken() -> None:
    @tool
    def f(x, y=1): ...  # type: ignore[no-untyped-def]

    assert properties(f) == {"x": {}, "y": {"default": 1}}
    assert bind(f, x={"a": [1]}) == {"x": {"a": [1]}}


def test_a_default_that_json_cannot_show_is_left_out_of_the_schema() -> None:
    marker = object()

    @tool
    def f(x: Any = marker, y: str = "z" * 500) -> None: ...

    assert properties(f) == {"x": {}, "y": {"type": "string"}}
    assert bind(f) == {}


def test_all_problems_are_told_in_one_line() -> None:
    @tool
    def f(n: int, point: Point, names: list[str], k: int | bool = 0) -> None: ...

    assert refusal(f, n="x", point={"x": "y"}, names=["a", []], k="?") == snapshot(
        "Argument 'n': input should be a valid integer, got 'x'; argument 'point.x': input should be a valid integer, "
        "got 'y'; argument 'names[1]': input should be a valid string, got []; argument 'k': input should be a valid "
        "integer, got '?' or argument 'k': input should be a valid boolean, got '?'."
    )


def test_a_missing_and_an_unknown_argument_are_named() -> None:
    @tool
    def f(number: int, text: str = "") -> None: ...

    assert refusal(f, nuber=1) == snapshot(
        "Argument 'number' is missing; unknown argument 'nuber'. Did you mean 'number'?"
    )
    assert refusal(f, number=1, zzz=1) == snapshot("Unknown argument 'zzz'. f takes number, text.")


def test_an_unknown_name_inside_an_argument_is_told_with_its_path() -> None:
    @tool
    def f(point: Point) -> None: ...

    assert refusal(f, point={"x": 1, "z": 2}) == snapshot("Unknown argument 'point.z'.")


def test_many_problems_and_long_values_stay_short() -> None:
    @tool
    def f(numbers: list[int]) -> None: ...

    message = refusal(f, numbers=["x" * 10_000] * 500)
    assert len(message) < 1_500
    assert "and 492 more" in message
    assert "\n" not in message


def test_a_number_for_a_text_is_taken_as_its_digits() -> None:
    @tool
    def f(year: str) -> None: ...

    assert bind(f, year=2024) == {"year": "2024"}


def test_positional_only_parameters_are_passed_by_position() -> None:
    @tool
    def f(a: int, b: int = 2, /, c: int = 3) -> tuple[int, int, int]:
        return a, b, c

    assert f._arguments.bind({"a": 1, "c": 4}, {}) == ([1, 2], {"c": 4})
    assert f(1) == (1, 2, 3)


def test_any_further_argument_is_taken_by_kwargs_and_checked_against_their_hint() -> None:
    @tool
    def f(a: int, **rest: int) -> None: ...

    assert parameters(f)["additionalProperties"] == {"type": "integer"}
    assert bind(f, a=1, b="2") == {"a": 1, "b": 2}
    assert refusal(f, a=1, b="x") == snapshot("Argument 'b': input should be a valid integer, got 'x'.")


def test_kwargs_without_a_hint_take_anything() -> None:
    @tool
    def f(**rest): ...  # type: ignore[no-untyped-def]

    assert parameters(f)["additionalProperties"] in (True, {})
    assert bind(f, a=[1]) == {"a": [1]}


def test_names_that_pydantic_uses_itself_are_fine() -> None:
    @tool
    def f(schema: str, model_config: int, json: bool, _private: int, self_: int) -> None: ...

    given: dict[str, Any] = {"schema": "s", "model_config": 1, "json": True, "_private": 2, "self_": 3}
    assert bind(f, **given) == given


def test_a_hint_that_is_not_defined_is_one_clear_line() -> None:
    @tool
    def f(x: Nowhere) -> None: ...  # type: ignore[name-defined] # noqa: F821

    with pytest.raises(UsageError) as caught:
        f.spec({})
    assert str(caught.value) == snapshot(
        "Tool 'f', parameter 'x': its type hint names 'Nowhere', which is not defined. "
        "Import or define it, or wrap the function in one of yours."
    )


def test_a_field_in_place_of_a_default_is_refused() -> None:
    @tool
    def f(n: int = Field(5, gt=0)) -> None: ...

    with pytest.raises(UsageError, match="write Annotated"):
        f.spec({})


@pytest.mark.filterwarnings("ignore:The 'alias' attribute")
@pytest.mark.parametrize("hint", ["5", "1 +", "int.nothing", "Annotated[int, Field(alias='n')]"])
def test_a_hint_that_makes_no_sense_is_one_line(hint: str) -> None:
    def f(x): ...  # type: ignore[no-untyped-def]

    f.__annotations__["x"] = hint
    with pytest.raises(UsageError, match="arameter 'x'") as caught:
        tool(f).spec({})
    assert "\n" not in str(caught.value)


def test_a_class_of_the_enclosing_function_is_found_by_a_string_hint() -> None:
    @dataclasses.dataclass
    class Local:
        x: int

    @tool
    def f(p: Local) -> None: ...

    assert bind(f, p={"x": 1}) == {"p": Local(1)}


def test_subclasses_of_plain_types_are_made_from_them() -> None:
    class Upper(str):
        __slots__ = ()

        def __new__(cls, text: str) -> Upper:
            return super().__new__(cls, text.upper())

    @tool
    def f(name: Upper) -> None: ...

    assert properties(f)["name"] == {"type": "string"}
    assert bind(f, name="a") == {"name": "A"}


def test_a_function_without_parameters_takes_an_empty_object() -> None:
    @tool
    def f() -> None: ...

    assert parameters(f) == {"additionalProperties": False, "properties": {}, "type": "object"}
    assert refusal(f, x=1) == snapshot("Unknown argument 'x'. f takes no arguments.")
