"""A recorded chain of calls, played as a provider: the agent runs the tools and ends with the recorded answer."""

from __future__ import annotations

import gzip
import json
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from agentnb.agent import Agent
from agentnb.messages import JSONObject, Text, ToolSpec
from agentnb.models.http import Http
from agentnb.tools.base import ToolContext, ToolReturn
from tests.conformance.conftest import cases
from tests.provider import Answer, provider
from tests.remote import remote

pytestmark = pytest.mark.anyio


class Recorded:
    """A tool that returns what was recorded, in turn."""

    parallel = False

    def __init__(self, told: dict[str, Any], outputs: list[str]) -> None:
        said = told.get("function", told)
        self.name = said["name"]
        self._spec = ToolSpec(self.name, said.get("description") or "", said["parameters"])
        self._outputs = outputs
        self.called = 0

    def spec(self, _: MutableMapping[str, object]) -> ToolSpec:
        return self._spec

    async def call(self, _arguments: JSONObject, _context: ToolContext) -> ToolReturn:
        self.called += 1
        return ToolReturn((Text(self._outputs[self.called - 1]),))


def _outputs(asked: dict[str, Any]) -> list[str]:
    items = asked.get("messages") or asked.get("input") or []
    return [
        item.get("content", item.get("output"))
        for item in items
        if "tool" in (item.get("role"), item.get("type")) or item.get("type") == "function_call_output"
    ]


def _body(recorded: dict[str, Any]) -> Answer:
    raw = recorded["response"]["body"]["string"]
    body = raw.encode() if isinstance(raw, str) else raw
    body = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
    whole = body.lstrip().startswith(b"{")
    return Answer([body], content_type="application/json" if whole else "text/event-stream")


def _last_words(body: bytes) -> str:
    """The text of a recorded answer, read the simplest way."""
    if body.lstrip().startswith(b"{"):
        output = json.loads(body)["output"]
        return "".join(part["text"] for item in output if item["type"] == "message" for part in item["content"])
    chunks = [json.loads(line[5:]) for line in body.splitlines() if line.startswith(b"data:") and b"{" in line]
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])


@pytest.mark.parametrize("path", cases("llm_cassettes/*.yaml"))
async def test_a_recorded_chain_of_calls_ends_with_its_text(path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    recorded = yaml.safe_load(path.read_bytes())["interactions"]
    asked = [json.loads(each["request"]["body"]) for each in recorded]
    answers = [_body(each) for each in recorded]
    tools = [Recorded(told, _outputs(asked[-1])) for told in asked[0].get("tools", [])]
    dialect = "responses" if recorded[0]["request"]["uri"].endswith("/responses") else "openai_chat"
    async with provider(*answers) as server:
        http = Http()
        model = remote("m", http=http, base_url=server.url, dialect=dialect)
        agent = Agent(model, tools=tools, namespace={}, max_rounds=len(recorded) - 1)
        result = await agent.run("the recorded question")
        await http.aclose()
    assert len(server.requests) == len(recorded)
    assert result.text == _last_words(answers[-1].blocks[0])
    # One recording was stopped while the model still called.
    calls = b'"type": "function_call"' in answers[-1].blocks[0]
    assert result.transcript.outcome == ("max_rounds" if calls else "done")
