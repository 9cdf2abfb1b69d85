from __future__ import annotations

import dataclasses
import datetime
import json
import typing
from typing import Any, Literal, NotRequired

import pydantic
import pytest
from typing_extensions import TypedDict

from agentnb.agent import Agent
from agentnb.errors import OutputError, UsageError
from agentnb.messages import Message
from agentnb.models.fake import FakeModel, call
from agentnb.output import Mismatch, Output

pytestmark = pytest.mark.anyio


class City(pydantic.BaseModel):
    """A city and what is known of it."""

    name: str
    people: int = pydantic.Field(ge=0)
    founded: datetime.date | None = None


@dataclasses.dataclass
class Point:
    x: float
    y: float


class Named(TypedDict):
    name: str


class Plain(typing.TypedDict):
    name: str
    size: NotRequired[int]


class Nested(typing.TypedDict):
    all: list[Plain]
    first: Plain | None


class Tree(pydantic.BaseModel):
    value: int
    children: list[Tree] = []


SCHEMA = {"title": "Weather report", "type": "object", "properties": {"c": {"type": "number"}}, "required": ["c"]}
BERN = '{"name": "Bern", "people": 134000}'


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (City, BERN, City(name="Bern", people=134000)),
        (City, '{"name": "Bern", "people": 1, "founded": "1191-01-01"}', None),
        (Point, '{"x": 1, "y": 2.5}', Point(1.0, 2.5)),
        (Named, '{"name": "a"}', {"name": "a"}),
        (Plain, '{"name": "a"}', {"name": "a"}),
        (dict[str, Plain], '{"x": {"name": "a", "size": 1}}', {"x": {"name": "a", "size": 1}}),
        (Nested, '{"all": [{"name": "a"}], "first": null}', {"all": [{"name": "a"}], "first": None}),
        (list[Point], '{"response": [{"x": 1, "y": 2}]}', [Point(1.0, 2.0)]),
        (list[Point], '[{"x": 1, "y": 2}]', [Point(1.0, 2.0)]),
        (Literal["yes", "no"], '{"response": "yes"}', "yes"),
        (int, "7", 7),
        (SCHEMA, '{"c": 4}', {"c": 4}),
        (Tree, '{"value": 1, "children": [{"value": 2}]}', Tree(value=1, children=[Tree(value=2)])),
    ],
)
def test_an_answer_becomes_an_instance_of_what_was_asked_for(kind: Any, text: str, value: Any) -> None:
    got = Output(kind).parse(text)
    assert got == value or (value is None and got.founded == datetime.date(1191, 1, 1))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{BERN}\n```",
        f"Here it is:\n\n{BERN}\nI hope it helps.",
        f"  {BERN}\n",
        f"[see] {{x}} {BERN}",
        f"As said in [1]: {BERN}",
        f'Not {{"name": 1}}, but {BERN}',
    ],
)
def test_json_is_found_in_a_fence_and_between_words(text: str) -> None:
    assert Output(City).parse(text) == City(name="Bern", people=134000)


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        (City, "", "it is empty"),
        (City, "Bern, I think.", "it is not JSON"),
        (City, "{" * 100_000, "it is not JSON"),
        (City, '{"name": "Bern"}', "people: Field required"),
        (City, '{"name": 3, "people": -1}', "name: Input should be a valid string; people: Input should be greater"),
        (SCHEMA, '{"c": "warm"}', "c: 'warm' is not of type 'number'"),
        (list[int], "[" + '"a",' * 20 + '"a"]', "and 16 more"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(kind: Any, text: str, why: str) -> None:
    with pytest.raises(Mismatch) as raised:
        Output(kind).parse(text)
    assert why in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        '{"value": 1, "children": [{"value": 2}, {"val',
        '{"value": 1, "children": [{"value": 2}], "note": "cut o',
        '{"value": 1, "children": [{"value": 2},]}',
        '{"value": 1, "children": [{"value": 2}] "more": 3}',
    ],
)
def test_a_part_of_a_broken_answer_is_not_taken_for_the_answer(text: str) -> None:
    with pytest.raises(Mismatch, match="it is not JSON"):
        Output(Tree).parse(text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (City, "[" * 300_000),
        (City, "[ " * 5_000 + "x" * 3_000_000),
        (City, "```json\n" + "\n" * 300_000 + "x"),
        (City, "9" * 300_000),
        (City, "{" * 3_000_000),
        (Tree, '{"value": 1, "children": [' * 700 + "]}" * 700),
        ({"type": "object", "additionalProperties": {"$ref": "#"}}, '{"a":' * 700 + "{}" + "}" * 700),
    ],
)
def test_an_answer_beyond_reason_is_a_mismatch_at_once(kind: Any, text: str) -> None:
    with pytest.raises(Mismatch):
        Output(kind).parse(text)


def test_definitions_of_either_name_stay_where_references_look_for_them() -> None:
    for name in ("$defs", "definitions"):
        part = {"type": "object", "properties": {"n": {"type": "integer"}}}
        output = Output({"type": "array", "items": {"$ref": f"#/{name}/Part"}, name: {"Part": part}})
        assert output.spec.schema[name] == {"Part": part}
        assert output.parse('[{"n": 1}]') == [{"n": 1}]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (object(), "cannot be an answer"),
        ({"name": "str"}, "This dict is not a JSON Schema"),
        ({"type": "objekt"}, "This JSON Schema is not valid: 'objekt'"),
        ({"type": "array", "items": {"$ref": "#/$defs/City"}}, "refers to '#/$defs/City', which it does not hold"),
        (type("Plain", (), {}), "Plain cannot be an answer"),
    ],
)
def test_what_no_answer_can_be_is_refused_at_once(kind: Any, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        Output(kind)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_schema_has_an_object_at_its_root_and_a_name_that_providers_take() -> None:
    spec = Output(list[City]).spec
    assert spec.name == "list_City"
    assert spec.schema["type"] == "object"
    assert list(spec.schema["properties"]) == ["response"]  # type: ignore[arg-type]  # an object
    assert Output(SCHEMA).spec.name == "Weather_report"
    assert Output(City).spec.description == "A city and what is known of it."
    tree = Output(Tree).spec.schema
    assert tree["type"] == "object"
    assert "$defs" in tree


async def test_a_run_gives_the_instance_and_tells_the_model_the_schema() -> None:
    model = FakeModel(BERN)
    result = await Agent(model, namespace={}).run("Bern?", output=City)
    assert result.output == City(name="Bern", people=134000)
    assert result.text == BERN
    assert model.requests[0].output == Output(City).spec


async def test_a_wrong_answer_is_asked_for_again_with_what_is_wrong() -> None:
    model = FakeModel("Bern is a city.", '{"name": "Bern"}', BERN)
    result = await Agent(model, output=City, namespace={}).run("Bern?")
    assert result.output == City(name="Bern", people=134000)
    asked = [m.text for m in model.requests[2].messages if m.role == "user"]
    assert asked[1].startswith("Your answer is not valid: it is not JSON. Give the whole answer again")
    assert asked[2].startswith("Your answer is not valid: people: Field required.")
    assert json.loads(asked[2].partition("\n")[2]) == Output(City).spec.schema


async def test_an_answer_that_stays_wrong_is_an_error_that_shows_it() -> None:
    model = FakeModel(*["Bern is a city."] * 3)
    with pytest.raises(OutputError) as raised:
        await Agent(model, output=City, namespace={}).run("Bern?")
    assert str(raised.value) == ("fake:script gave no valid City: it is not JSON. The last answer: Bern is a city.")
    assert raised.value.answer == "Bern is a city."
    assert raised.value.transcript is not None
    assert len(model.requests) == 3


async def test_tools_are_used_on_the_way_to_a_structured_answer() -> None:
    def population(city: str) -> int:
        """People in a city."""
        return 134000 if city == "Bern" else 0

    model = FakeModel(call("population", city="Bern"), "Bern has 134,000 people.", BERN)
    result = await Agent(model, tools=[population], output=City, namespace={}).run("Bern?")
    assert result.output == City(name="Bern", people=134000)
    assert [m.role for m in result.messages] == ["user", "assistant", "tool", "assistant", "user", "assistant"]
    assert all(request.output for request in model.requests)


async def test_tools_without_end_give_no_none_for_an_answer() -> None:
    def again() -> str:
        """Again."""
        return "again"

    model = FakeModel(*[call("again")] * 3)
    with pytest.raises(OutputError, match="gave no valid City: there was none after 2 rounds of tool calls"):
        await Agent(model, tools=[again], output=City, max_rounds=2, namespace={}).run("Bern?")


async def test_an_answer_cut_off_by_its_bound_is_not_asked_for_again() -> None:
    class Short(FakeModel):
        async def stream(self, request: Any) -> Any:
            async for event in super().stream(request):
                yield dataclasses.replace(event, finish="length") if event.type == "message_end" else event

    model = Short('{"name": "Be', BERN)
    with pytest.raises(OutputError, match="it was cut off; allow it more with max_tokens"):
        await Agent(model, output=City, namespace={}).run("Bern?")
    assert len(model.requests) == 1


async def test_a_run_that_blocks_takes_an_output_too() -> None:
    result = Agent(FakeModel(BERN), namespace={}).run_sync(Message("user", ()), output=City)
    assert isinstance(result.output, City)
