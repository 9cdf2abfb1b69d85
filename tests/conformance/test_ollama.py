"""Answers of Ollama's servers, recorded and composed, give what is written beside them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agentnb import events
from agentnb.errors import ModelError
from agentnb.messages import Message, Thinking
from agentnb.models.ollama import ollama_base, parse_stream
from agentnb.models.refusal import Source, refused
from agentnb.transcript import Folder
from tests.conformance.conftest import cases, conformance_dir

pytestmark = pytest.mark.anyio
SOURCE = Source("ollama", "recorded")
SIZES = ["whole", 1, 7, 4096]
_FILE = "ollama/ollama_cases.json"


def _table() -> dict[str, Any]:
    path = conformance_dir() / _FILE
    loaded: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    return loaded


def _streams() -> list[Any]:
    found = _table().get("chat_stream_cases")
    return [pytest.param(case, id=case["id"]) for case in found] if found else cases(_FILE)


def _hosts() -> list[Any]:
    found = _table().get("ollama_host_normalisation")
    return [pytest.param(case, id=case[0] or "(none)") for case in found["cases"]] if found else cases(_FILE)


async def _blocks(body: bytes, size: str | int) -> AsyncIterator[bytes]:
    step = size if isinstance(size, int) else len(body)
    for i in range(0, len(body), step):
        yield body[i : i + step]


async def _replay(case: dict[str, Any], size: str | int) -> tuple[Message, events.MessageEnd | None, Any]:
    """The folded message, its end, the usage; an error is in place of the end's absence."""
    body = case["body"].encode()
    if case["status"] >= 300:
        return Message("assistant", ()), None, refused(SOURCE, case["status"], {}, body)
    folder, end, error = Folder(), None, None
    try:
        async for event in parse_stream(_blocks(body, size), source=SOURCE, model="recorded"):
            assert end is None, "an event after the end"
            folder.feed(event)
            if isinstance(event, events.MessageEnd):
                end = event
    except ModelError as raised:
        error = raised
    transcript = folder.transcript()
    message = transcript.messages[-1] if transcript.messages else Message("assistant", ())
    return message, end, error or transcript.usage


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", _streams())
async def test_an_answer_gives_what_is_written_beside_it(case: dict[str, Any], size: str | int) -> None:
    expected = case["expect"]
    message, end, outcome = await _replay(case, size)
    assert message.text == expected.get("text", expected.get("text_before_error", ""))
    if "raises" in expected:
        assert end is None
        assert isinstance(outcome, ModelError)
        assert expected["raises"] in ("*", "") or expected["raises"] in str(outcome)
        assert expected.get("status") in (None, outcome.status)
        return
    assert end is not None, outcome
    assert "".join(b.text for b in message.content if isinstance(b, Thinking)) == expected.get("thinking", "")
    assert [[c.name, json.loads(c.arguments)] for c in message.calls] == expected.get("tool_calls", [])
    assert len({c.id for c in message.calls} - {""}) == len(message.calls)
    assert end.finish == ("tool_calls" if message.calls else expected.get("done_reason", "stop"))
    if usage := expected.get("usage"):
        assert (outcome.input, outcome.output) == (usage["prompt_tokens"], usage["completion_tokens"])
    if "json" in expected:
        assert json.loads(message.text) == expected["json"]


@pytest.mark.parametrize("case", _hosts())
async def test_every_form_of_ollama_host_is_an_address(case: list[str]) -> None:
    value, address = case
    assert ollama_base(value) == address


@pytest.mark.parametrize("path", cases(_FILE))
async def test_the_cases_are_those_we_know_how_to_read(path: Path) -> None:
    table = json.loads(path.read_bytes())
    known = {"raises", "status", "text", "text_before_error", "thinking", "tool_calls", "done_reason", "usage", "json"}
    assert {key for case in table["chat_stream_cases"] for key in case["expect"]} <= known
