"""Recorded answers of many providers give what the vendor's own library made of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agentnb import events
from agentnb.errors import ModelError
from agentnb.messages import Message, Thinking
from agentnb.models.openai_chat import parse_stream
from agentnb.models.refusal import Source, refused
from agentnb.transcript import Folder
from tests.conformance.conftest import cases

pytestmark = pytest.mark.anyio
SOURCE = Source("openai", "recorded", "OPENAI_API_KEY", ("sk-recorded",))
SIZES = ["whole", 1, 7, 4096]
#: The vendor's library fails on these itself; the stream is sound.
_LIBRARY_FAILS = {"test_openrouter__test_openrouter_web_search_annotations_stream__0"}


def _bytes(path: Path) -> bytes:
    return path.read_bytes()


def _load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_bytes())
    return loaded


async def _blocks(body: bytes, size: str | int) -> AsyncIterator[bytes]:
    step = size if isinstance(size, int) else len(body)
    for i in range(0, len(body), step):
        yield body[i : i + step]


async def _replay(body: bytes, size: str | int = "whole") -> tuple[Message, events.MessageEnd | None, Any]:
    """The folded message, its end, the usage; an error is in place of the end's absence."""
    folder, end, error = Folder(), None, None
    try:
        async for event in parse_stream(_blocks(body, size), source=SOURCE, model="recorded"):
            assert end is None, "an event after the end"
            folder.feed(event)
            if isinstance(event, events.MessageEnd):
                end = event
    except ModelError as raised:
        error = raised
    assert (end is None) == (error is not None)
    transcript = folder.transcript()
    message = transcript.messages[-1] if transcript.messages else Message("assistant", ())
    return message, end, error or transcript.usage


def _check(oracle: dict[str, Any], message: Message, end: events.MessageEnd | None, outcome: Any) -> None:
    completion = oracle["completion"]
    choice = completion["choices"][0]
    expected = choice["message"]
    assert message.text == (expected.get("content") or "") + (expected.get("refusal") or "")
    thinking = "".join(b.text for b in message.content if isinstance(b, Thinking))
    assert thinking == next(iter(oracle["reasoning_concat"].values()), "")
    calls = [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in expected.get("tool_calls") or []]
    assert [(c.id, c.name, c.arguments) for c in message.calls] == calls
    if oracle.get("error"):
        assert isinstance(outcome, ModelError)
        return
    assert end is not None, outcome
    assert end.finish == (choice.get("finish_reason") or "stop")
    assert end.message_id == (completion["id"] or None)
    usage = completion.get("usage")
    if usage is None:
        # The vendor's library forgets the counts when a later chunk says null.
        return
    assert (outcome.input, outcome.output) == (usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0))
    assert outcome.cached == ((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0)
    assert outcome.reasoning == ((usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", cases("transcripts/openai_chat_stream/*.json"))
async def test_a_recorded_stream_gives_what_the_vendors_library_gives(path: Path, size: str | int) -> None:
    case = _load(path)
    message, end, outcome = await _replay(case["response"]["body_text"].encode(), size)
    if path.stem in _LIBRARY_FAILS:
        assert end is not None
        assert message.text
        return
    _check(case["oracle"], message, end, outcome)


@pytest.mark.parametrize("path", cases("transcripts/openai_chat_stream/*moderation_stream*.json"))
async def test_the_last_counts_are_kept_though_a_null_follows(path: Path) -> None:
    _, _, usage = await _replay(_load(path)["response"]["body_text"].encode())
    assert (usage.input, usage.output) == (13, 11)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", cases("openai_sdk/*.sse"))
async def test_an_sdk_stream_gives_what_the_sdk_gives(path: Path, size: str | int) -> None:
    oracle = _load(path.with_suffix(".expected.json"))
    message, end, outcome = await _replay(_bytes(path), size)
    _check(oracle, message, end, outcome)


@pytest.mark.parametrize("path", cases("transcripts/openai_chat/*.json"))
async def test_a_whole_answer_gives_the_same_as_a_stream(path: Path) -> None:
    body = _load(path)["response"]["body_json"]
    message, end, outcome = await _replay(json.dumps(body).encode())
    choice = body["choices"][0]
    expected = choice["message"]
    content = expected.get("content") or ""
    assert message.text == content if isinstance(content, str) else message.text
    calls = [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in expected.get("tool_calls") or []]
    assert [(c.id, c.name, c.arguments) for c in message.calls] == calls
    reasoning = expected.get("reasoning_content") or expected.get("reasoning") or ""
    assert "".join(b.text for b in message.content if isinstance(b, Thinking)) == reasoning
    assert end is not None
    assert end.finish == ("tool_calls" if calls else choice["finish_reason"])
    assert outcome.input == body["usage"]["prompt_tokens"]


@pytest.mark.parametrize("path", cases("transcripts/openai_chat_error/*.json"))
async def test_a_recorded_error_keeps_its_status_message_and_code(path: Path) -> None:
    response = _load(path)["response"]
    body = response["body_json"]
    error = refused(SOURCE, response["status"], {}, json.dumps(body).encode())
    assert error.status == response["status"]
    assert error.retryable == (response["status"] == 429)
    assert " ".join(body["error"]["message"].split())[:300].rstrip(".") in str(error)
    assert error.code == str(body["error"].get("code") or body["error"]["type"])
    assert "\n" not in str(error)


@pytest.mark.parametrize("path", cases("llm_cassettes/*.expected.json"))
async def test_odd_ways_to_stream_calls_give_whole_calls(path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    cassette = yaml.safe_load(_bytes(path.with_name(path.name.replace(".expected.json", ".yaml"))))
    for stream in _load(path)["streams"]:
        body = cassette["interactions"][stream["interaction"]]["response"]["body"]["string"].encode()
        message, end, outcome = await _replay(body, 7)
        if "variant_a" in path.name and message.calls:
            # The server sends name and id again; the vendor's library made "00" and the name twice of it.
            assert [(c.id, c.name, c.arguments) for c in message.calls] == [("0", "llm_version", "{}")]
        else:
            _check(stream, message, end, outcome)
