"""Tools as functions, and what comes of a call as a value."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import pytest

from agentnb.direct import as_value, read_json, signature
from agentnb.errors import ToolError, UsageError
from agentnb.messages import JSON, Content, Data, Image, Text, ToolResult, ToolSpec
from agentnb.passing import Passing, passing
from agentnb.tools.base import ToolReturn
from agentnb.tools.function import tool
from agentnb.workspace import Workspace


class Frame:
    """Something that only the kernel has."""

    def __init__(self, rows: int) -> None:
        self.rows = rows


@tool
def grow(frame: Frame, by: int = 1) -> Frame:
    """Add rows.

    Args:
        frame: Where to.
        by: How many.
    """
    return Frame(frame.rows + by)


@tool
def total(frames: list[Frame]) -> str:
    """Count all rows."""
    return str(sum(frame.rows for frame in frames))


@tool
def listing(n: int) -> list[int]:
    """List numbers."""
    return list(range(n))


@tool
def structured() -> ToolReturn:
    """Give JSON with words beside it."""
    return ToolReturn((Text("It is 3."), Data({"n": 3})))


@tool
def failing() -> str:
    """Fail."""
    raise ToolError("no luck")


@tool(name="read-file")
def read_file(path: str) -> str:
    """Read."""
    return f"read {path}"


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    functions = (grow, total, listing, structured, failing, read_file)
    made = Workspace({each.name.replace("-", "_"): each for each in functions}, environ={"AGENTNB_KEYRING": "off"})
    yield made
    made.close()


def test_a_tool_is_called_by_its_name_with_python_values(workspace: Workspace) -> None:
    workspace.namespace["small"] = Frame(2)
    grown = workspace.tools.grow(workspace.namespace["small"], by=3)
    assert isinstance(grown, Frame)
    assert grown.rows == 5
    assert workspace.namespace["grow_1"] is grown


def test_objects_without_a_name_are_lent_one_for_the_call(workspace: Workspace) -> None:
    before = set(workspace.namespace)
    assert workspace.tools.total([Frame(1), Frame(2)]) == "3"
    assert set(workspace.namespace) == before


def test_a_result_is_text_and_json_where_that_is_asked_for(workspace: Workspace) -> None:
    assert workspace.tools.listing(3) == "[0, 1, 2]"
    assert workspace.tools.listing.json(3) == [0, 1, 2]
    assert workspace.tools.structured() == {"n": 3}
    with pytest.raises(UsageError, match="Result is not valid JSON"):
        workspace.tools.read_file.json("x")


def test_a_failure_is_raised_in_the_tools_words(workspace: Workspace) -> None:
    with pytest.raises(ToolError, match=r"^no luck$"):
        workspace.tools.failing()
    with pytest.raises(ToolError, match="Argument 'n' is missing"):
        workspace.tools.listing()
    with pytest.raises(UsageError, match=r"unexpected keyword argument 'm'.*It is <tool listing\(n: int\)>"):
        workspace.tools.listing(m=1)


def test_names_that_python_cannot_write_have_one_that_it_can(workspace: Workspace) -> None:
    assert workspace.tools.read_file("x") == "read x"
    assert workspace.tools["read-file"]("x") == "read x"
    assert workspace.tools["function-read-file"]("x") == "read x"
    assert "read_file" in dir(workspace.tools)
    assert "function-read-file" in workspace.tools._ipython_key_completions_()
    assert "read-file" in workspace.tools


def test_a_name_that_is_wrong_has_the_nearest_in_its_error(workspace: Workspace) -> None:
    with pytest.raises(AttributeError, match=r"No tool 'grw'\. Did you mean 'grow'"):
        _ = workspace.tools.grw
    with pytest.raises(UsageError, match="Did you mean 'grow'"):
        _ = workspace.tools["grw"]
    assert not hasattr(workspace.tools, "_repr_html_")


def test_a_tool_tells_python_what_it_takes(workspace: Workspace) -> None:
    found = workspace.tools.grow
    assert str(inspect.signature(found)) == "(frame: object, by: int = 1)"
    assert inspect.getdoc(found) == "Add rows."
    assert found.__name__ == "grow"


def test_what_python_cannot_write_goes_by_keywords() -> None:
    properties: dict[str, JSON] = {"from": {"type": "string"}, "n": {"type": "integer"}, "x-y": {}}
    spec = ToolSpec("t", "T.", {"type": "object", "properties": properties, "required": ["n"]})
    assert str(signature(spec)) == "(n: int, **kwargs)"


def test_a_tool_is_there_as_soon_as_it_is_defined(workspace: Workspace) -> None:
    workspace.namespace["later"] = tool(lambda: "now", name="later")
    assert workspace.tools.later() == "now"
    assert repr(workspace.tools).startswith("<tools: grow, total, listing, structured, failing, read-file, later; and ")
    assert len(workspace.tools) == len(list(workspace.tools))


def result(*content: Content, error: bool = False, handle: str | None = None) -> ToolResult:
    return ToolResult("1", "t", content, error, handle)


PICTURE = Image(b"png", "image/png")


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (result(Text("a"), Text("b")), "a\nb"),
        (result(), ""),
        (result(Text("a"), handle="kept"), 42),
        (result(Text("a"), handle="gone"), "a"),
        (result(Text("a"), Data([1])), [1]),
        (result(PICTURE), PICTURE),
        (result(Text("a"), PICTURE), (Text("a"), PICTURE)),
    ],
)
def test_what_a_call_gave_as_a_value(given: ToolResult, value: object) -> None:
    assert as_value(given, {"kept": 42}) == value


TRACEBACK = 'Error: Traceback (most recent call last):\n  File "<python 1>", line 1\nbad thing'


@pytest.mark.parametrize("given", [Text("Error: bad\nthing"), Text("Error: bad thing"), Text(TRACEBACK)])
def test_an_error_is_no_value(given: Text) -> None:
    for failed in (result(given, error=True), result(given)):
        with pytest.raises(ToolError, match=r"^bad thing$"):
            as_value(failed, {})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        (" [1]\n", [1]),
        ("x\n```json\n[1]\n```\ny", [1]),
        ('```JSON\n{"a": "```"}\n```', None),
        ("```json\n3\n```", None),
        ("```\n[1]\n```", None),
        ('"text"', None),
        ("3", None),
        ("", None),
    ],
)
def test_json_is_the_whole_text_or_the_first_fenced_block(text: str, value: object) -> None:
    if value is None:
        with pytest.raises(UsageError, match=r"^Result is not valid JSON"):
            read_json(text)
    else:
        assert read_json(text) == value


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("value", "passed"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        ("007", "007"),
        ((1, "a"), [1, "a"]),
        ({"a": [1]}, {"a": [1]}),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (Colour.RED, "red"),
        (Point(1), {"x": 1}),
    ],
)
def test_python_values_are_passed_as_the_json_a_model_would_write(value: object, passed: object) -> None:
    assert Passing({}).argument("a", value) == passed


def test_what_no_json_can_hold_is_passed_by_its_name() -> None:
    frame = Frame(1)
    names: dict[str, object] = {"_hidden": frame, "frame": frame}
    with passing(names) as made:
        assert made.argument("a", frame) == "frame"
        assert made.argument("a", other := Frame(2)) == "a_1"
        assert names["a_1"] is other
        assert made.named("frame", {}) == "frame"
        with pytest.raises(UsageError, match="no variable 'frme'"):
            made.named("frme", {})
    assert list(names) == ["_hidden", "frame"]


def test_a_variable_that_json_can_hold_is_passed_by_its_value() -> None:
    made = Passing({"n": 3, "nothing": None})
    assert made.named("n", {"type": "integer"}) == 3
    assert made.named("nothing", {}) is None
    assert made.named("n", {"type": "string", "description": "Name of a notebook variable of type int"}) == "n"
