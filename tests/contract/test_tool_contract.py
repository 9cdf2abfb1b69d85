"""What every tool owes the agent loop, whatever it is made of."""

# ruff: noqa: T201 - the tools under test print
from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest

from agentnb import codec
from agentnb.errors import ToolError
from agentnb.messages import Content, ToolSpec
from agentnb.tools.base import InlineRunner, Tool, ToolContext, ToolReturn
from agentnb.tools.function import tool

pytestmark = pytest.mark.anyio


def sync(text: str) -> str:
    """Echo."""
    print(text)
    return text


async def task(text: str) -> str:
    """Echo."""
    print(text)
    return text


def stream(text: str) -> Iterator[str]:
    """Echo."""
    yield text


async def async_stream(text: str) -> AsyncIterator[str]:
    """Echo."""
    yield text


TOOLS: list[Tool] = [
    tool(sync),
    tool(sync, name="in_thread", thread=True),
    tool(task),
    tool(stream),
    tool(async_stream),
]
each = pytest.mark.parametrize("made", TOOLS, ids=lambda t: t.name)


@each
def test_its_name_is_one_a_provider_takes(made: Tool) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", made.name)
    assert isinstance(made.parallel, bool)


@each
def test_its_spec_is_json_and_the_same_each_time(made: Tool) -> None:
    spec = made.spec({})
    assert spec == made.spec({})
    assert (spec.name, spec.description) == (made.name, "Echo.")
    assert json.loads(codec.dump_json(spec, ToolSpec))["parameters"]["required"] == ["text"]


@each
async def test_a_call_gives_blocks_and_shows_output(made: Tool) -> None:
    shown: list[Content] = []
    with anyio.fail_after(5):
        result = await made.call({"text": "hello"}, ToolContext(shown.append, {}, InlineRunner()))
    assert isinstance(result, ToolReturn)
    assert [b.text for b in result.content if b.type == "text"] == ["hello"]
    assert "".join(b.text for b in shown if b.type == "text").strip() == "hello"


@each
async def test_wrong_arguments_are_a_tool_error(made: Tool) -> None:
    with anyio.fail_after(5), pytest.raises(ToolError, match="'text'"):
        await made.call({"text": []}, ToolContext(lambda _: None, {}, InlineRunner()))


@each
async def test_one_tool_serves_many_calls_at_once(made: Tool) -> None:
    results: dict[str, ToolReturn] = {}

    async def one(text: str) -> None:
        results[text] = await made.call({"text": text}, ToolContext(lambda _: None, {}, InlineRunner()))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for i in range(20):
                group.start_soon(one, str(i))
    assert [getattr(results[str(i)].content[0], "text", None) for i in range(20)] == [str(i) for i in range(20)]
