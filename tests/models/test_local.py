"""The built-in model: a real one, in this process."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from contextlib import aclosing
from functools import partial
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from agentnb import events, messages
from agentnb.errors import ModelError, RequestRefused, UsageError
from agentnb.messages import JSONObject, Message, Text, ToolCall, ToolResult, ToolSpec
from agentnb.models import weights
from agentnb.models.base import OutputSpec, Request
from agentnb.models.decision import grammar_schema
from agentnb.models.engine import Engine
from agentnb.models.local import LocalModel, _read, _reading
from agentnb.models.options import Options
from agentnb.transcript import fold
from tests.llama import MODEL, model_file
from tests.streams import collect as collect_within

pytestmark = pytest.mark.anyio

HELLO = Request((messages.user("Say hello."),), options=Options(max_tokens=24))
ORDER = ToolSpec(
    "order",
    "Order drinks.",
    {
        "type": "object",
        "properties": {
            "drink": {"$ref": "#/$defs/Drink"},
            "count": {"type": "integer", "minimum": 1, "maximum": 9},
            "hot": {"type": "boolean"},
            "extras": {"type": "array", "items": {"enum": ["milk", "sugar"]}, "maxItems": 2},
        },
        "required": ["drink", "count", "extras"],
        "$defs": {
            "Drink": {"type": "object", "properties": {"name": {"enum": ["tea", "coffee"]}}, "required": ["name"]}
        },
    },
)
NOW = ToolSpec("now", "The time.", {"type": "object", "properties": {}})


#: A real model on a busy machine takes its time.
collect = partial(collect_within, seconds=30)


@pytest.fixture(scope="module")
def path() -> Path:
    return model_file()


@pytest.fixture(scope="module")
def model(path: Path) -> LocalModel:
    """Loaded at the first question, and once."""
    assert path.exists()
    return LocalModel(MODEL, context=1024)


@pytest.mark.model
@pytest.mark.xdist_group("model")
async def test_a_chat_streams_and_ends_once_with_its_usage(model: LocalModel) -> None:
    got, error = await collect(model, HELLO)
    assert error is None
    assert sum(isinstance(event, events.TextDelta) for event in got) > 3
    assert [event for event in got if isinstance(event, events.MessageEnd)] == [got[-1]]
    said = fold(got)
    assert "ello" in said.text
    assert said.messages[-1].finish in ("stop", "length")
    assert said.messages[-1].model == model.name == "local:smollm2-135m"
    assert said.usage.input > 5
    assert 3 < said.usage.output <= 24


@pytest.mark.model
@pytest.mark.xdist_group("model")
async def test_an_answer_that_reaches_its_limit_says_so(model: LocalModel) -> None:
    got, _ = await collect(model, Request((messages.user("Count to 100."),), options=Options(max_tokens=3)))
    assert fold(got).messages[-1].finish == "length"
    assert fold(got).usage.output == 3


@pytest.mark.model
@pytest.mark.xdist_group("model")
async def test_closing_the_stream_stops_the_generation(model: LocalModel) -> None:
    # A thousand tokens take longer than the next question has time.
    endless = Request(
        (messages.user("Tell me a very long story."),), options=Options(max_tokens=1000, body={"ignore_eos": True})
    )
    async with aclosing(model.stream(endless)) as stream:
        async for event in stream:
            if isinstance(event, events.TextDelta):
                break
    got, error = await collect_within(model, Request(HELLO.messages, options=Options(max_tokens=2)), seconds=8)
    assert error is None
    assert fold(got).text


@pytest.mark.model
@pytest.mark.xdist_group("model")
async def test_a_question_that_is_still_being_read_can_be_stopped(path: Path) -> None:
    engine = Engine(path, context=1024)
    body: JSONObject = {"messages": [{"role": "user", "content": "word " * 400}], "stream": True, "max_tokens": 1}
    async with aclosing(engine.chat(body)) as chunks:
        async for chunk in chunks:
            assert "prompt_progress" in chunk
            break
    counted = {"stream_options": {"include_usage": True}}
    async with aclosing(engine.chat({**body, **counted})) as chunks:
        *_, last = [chunk async for chunk in chunks]
    # What was read the first time is not read again: had it gone on unseen, that would be nearly all.
    usage = _read(last)[2]
    assert usage is not None
    assert usage.cached < usage.input // 2


@pytest.mark.model
@pytest.mark.xdist_group("model")
def test_a_program_that_ends_in_the_middle_of_an_answer_ends_well(path: Path) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from agentnb.models.engine import Engine

async def main():
    said = "word " * 700
    chunks = Engine(Path(sys.argv[1])).chat({"messages": [{"role": "user", "content": said}], "stream": True})
    await anext(chunks)

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    ("read", "milliseconds", "said"), [(64, 1200, "21 %"), (64, 900, None), (300, 5000, None), (0, 0, None)]
)
def test_only_a_prompt_that_takes_its_time_is_reported(read: int, milliseconds: int, said: str | None) -> None:
    assert _reading({"prompt_progress": {"total": 300, "processed": read, "time_ms": milliseconds}}) == said
    assert _reading({"choices": []}) is None


@pytest.mark.model
@pytest.mark.xdist_group("model")
async def test_questions_at_the_same_time_are_answered_one_after_another(model: LocalModel) -> None:
    words = ("apple", "river", "stone")
    forms = [{"type": "json_schema", "json_schema": {"schema": {"const": word}}} for word in words]
    asked = [Request(HELLO.messages, options=Options(body={"response_format": form})) for form in forms]
    answers = await asyncio.gather(*(collect(model, request) for request in asked))
    for got, error in answers:
        assert error is None
        assert [event for event in got if isinstance(event, events.MessageEnd)] == [got[-1]]
    assert [json.loads(fold(got).text) for got, _ in answers] == list(words)


@pytest.mark.model
@pytest.mark.xdist_group("model")
@pytest.mark.parametrize("choice", ["required", "order"])
async def test_a_call_of_a_tool_has_arguments_that_fit_its_schema(choice: str, model: LocalModel) -> None:
    request = Request((messages.user("Two cups of tea with milk, please."),), (NOW, ORDER)[choice == "order" :], choice)
    got, error = await collect(model, request)
    assert error is None
    said = fold(got).messages[-1]
    assert said.finish == "tool_calls"
    (call,) = said.calls
    schema = {tool.name: tool.parameters for tool in (NOW, ORDER)}[call.name]
    arguments = json.loads(call.arguments)
    assert Draft202012Validator(grammar_schema(schema)).is_valid(arguments), arguments
    assert choice in ("required", call.name)


@pytest.mark.model
@pytest.mark.xdist_group("model")
async def test_a_free_choice_is_one_decision(model: LocalModel) -> None:
    got, error = await collect(model, Request((messages.user("Hi!"),), (NOW,), options=Options(max_tokens=40)))
    assert error is None
    said = fold(got).messages[-1]
    assert bool(said.text) != bool(said.calls)
    assert "{" not in said.text


@pytest.mark.model
@pytest.mark.xdist_group("model")
async def test_a_tools_result_is_put_into_words(model: LocalModel) -> None:
    call = Message("assistant", (ToolCall("c1", "now"),), finish="tool_calls")
    result = Message("tool", (ToolResult("c1", "now", (Text("It is 12:45."),)),))
    request = Request((messages.user("What time is it?"), call, result), (NOW,), options=Options(max_tokens=32))
    got, error = await collect(model, request)
    assert error is None
    assert "12:45" in fold(got).text
    assert not fold(got).messages[-1].calls


@pytest.mark.model
@pytest.mark.xdist_group("model")
async def test_a_prompt_that_is_too_long_is_refused_in_one_line(model: LocalModel) -> None:
    got, error = await collect(model, Request((messages.user("word " * 2000),)))
    assert got == []
    assert isinstance(error, RequestRefused)
    assert error.code == "context_length_exceeded"
    assert "tokens, and the model was opened for 1024." in str(error)
    assert "\n" not in str(error)


@pytest.mark.model
@pytest.mark.xdist_group("model")
async def test_a_parameter_that_makes_no_sense_is_refused_in_one_line(model: LocalModel) -> None:
    _, error = await collect(
        model, Request(HELLO.messages, options=Options(body={"response_format": {"type": "nonsense"}}))
    )
    assert isinstance(error, RequestRefused)
    assert str(error).startswith("llama.cpp refused the request: ")
    assert "\n" not in str(error)


@pytest.mark.model
@pytest.mark.xdist_group("model")
async def test_loading_is_announced_and_llama_writes_nothing(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = LocalModel(str(path), context=512)
    got, error = await collect(model, HELLO)
    assert error is None
    assert [event.reason for event in got if isinstance(event, events.Waiting)] == [f"loading {model.name}"]
    await collect(model, Request((messages.user("word " * 600),)))
    assert capfd.readouterr() == ("", "")


async def test_questions_at_the_same_time_load_one_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xllamacpp")
    monkeypatch.setenv("AGENTNB_HOME", str(tmp_path))
    row = weights.find(MODEL)
    path = tmp_path / "models" / row.file
    path.parent.mkdir()
    path.write_text("not really")
    weights._remember(path, row)
    before = set(threading.enumerate())
    model = LocalModel(MODEL)
    answers = await asyncio.gather(*(collect(model, HELLO) for _ in range(3)))
    assert [str(error) for _, error in answers] == [
        f"{path} is not a GGUF file. llama.cpp reads models in the GGUF format only."
    ] * 3
    assert [thread.name for thread in set(threading.enumerate()) - before].count("llama.cpp") == 1


async def test_a_path_to_something_else_is_refused_in_one_line(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    path = tmp_path / "notes.gguf"
    path.write_text("my notes")
    _, error = await collect(LocalModel(str(path)), HELLO)
    assert isinstance(error, ModelError)
    assert str(error) == f"{path} is not a GGUF file. llama.cpp reads models in the GGUF format only."


async def test_an_unknown_model_is_refused_when_it_is_named() -> None:
    with pytest.raises(UsageError, match="No built-in model 'smollm'"):
        LocalModel("smollm")


@pytest.mark.xdist_group("model")
async def test_json_of_a_schema_is_what_the_answer_is(model: LocalModel) -> None:
    spec = OutputSpec(
        "Pick",
        {"type": "object", "properties": {"n": {"type": "integer"}, "word": {"enum": ["a", "b"]}}}
        | {"required": ["n", "word"], "additionalProperties": False},
    )
    got, error = await collect(model, Request((messages.user("Pick something."),), options=HELLO.options, output=spec))
    assert error is None
    picked = json.loads(fold(got).text)
    assert isinstance(picked["n"], int)
    assert picked["word"] in ("a", "b")


async def test_a_picture_is_refused_before_anything_is_loaded(path: Path) -> None:
    asked = Request((messages.user("What is this?", messages.Image(b"\x89PNG")),))
    _, error = await collect(LocalModel(str(path)), asked)
    assert isinstance(error, UsageError)
    assert "images" in str(error)


async def test_an_option_that_the_engine_does_not_have_is_refused_before_anything_is_loaded(path: Path) -> None:
    _, error = await collect(LocalModel(str(path)), Request(HELLO.messages, options=Options(thinking="high")))
    assert isinstance(error, UsageError)
    assert "has no option 'thinking'" in str(error)
