"""Models, keys and money in a real kernel: `%model`, `%credential`, `%usage`, and cells on other dialects."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract import anthropic_script, gemini_script
from tests.kernel.conftest import Cell, Kernel, ThreadedProvider
from tests.provider import Answer, Asked, document, says

KEY = "sk-secret-of-a-person-1"
TOOLS = "def people(city: str) -> int:\n    'How many live there.'\n    return {'Oslo': 709_000}[city]\n"


@pytest.fixture(autouse=True)
def nobody(kernel: Kernel, tmp_path: Path) -> Iterator[None]:
    """A person without keys and settings."""
    kernel.ok(
        "import os\nfor name in list(os.environ):\n"
        "    if name.endswith(('_API_KEY', '_BASE_URL', 'OLLAMA_HOST')):\n        del os.environ[name]\n"
        f"os.environ.update(AGENTNB_HOME={str(tmp_path)!r}, AGENTNB_KEYRING='off')"
    )
    yield
    kernel.ok("for name in ('AGENTNB_HOME', 'AGENTNB_KEYRING'):\n    os.environ.pop(name)")


def setenv(kernel: Kernel, **variables: str) -> None:
    """Set variables in the kernel."""
    kernel.ok(f"os.environ.update({variables!r})")


def hidden(*cells: Cell) -> None:
    """No cell shows the key in anything that it sent."""
    for cell in cells:
        sent = [message for message in cell.messages if message["msg_type"] != "execute_input"]
        assert KEY not in json.dumps(sent, default=str)


def test_what_can_answer_is_a_table_in_both_forms(kernel: Kernel) -> None:
    setenv(kernel, GROQ_API_KEY=KEY)
    cell = kernel.ok("%model list")
    assert "groq:…" in cell.mime("text/plain")[0]
    assert "key in GROQ_API_KEY" in cell.mime("text/html")[0]
    assert "local:qwen2.5-coder-0.5b" in cell.mime("text/plain")[0]
    hidden(cell)


def test_a_provider_is_asked_for_its_models(kernel: Kernel, remote: ThreadedProvider) -> None:
    server = remote.serve(document({"models": [{"name": "qwen3:8b", "model": "qwen3:8b"}]}))
    setenv(kernel, OLLAMA_HOST=server.url.removesuffix("/v1"))
    assert "ollama:qwen3:8b" in kernel.ok("%model list ollama").mime("text/plain")[0]
    assert server.requests[0].path == "/api/tags"
    assert "OPENAI_API_KEY is not set" in kernel.ok("%model list openai").mime("text/plain")[0]


@pytest.mark.parametrize("cell", ["%model list openai", "%model test openai:x", "%credential test openai"])
def test_an_interrupt_ends_a_wait_for_a_silent_server_at_once(
    kernel: Kernel, remote: ThreadedProvider, cell: str
) -> None:
    arrived = threading.Event()

    def silent(_: Asked) -> Answer:
        arrived.set()
        return Answer(end="silent")

    server = remote.serve(silent)
    setenv(kernel, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.url)
    waiting = kernel.start(cell)
    assert arrived.wait(10)
    kernel.interrupt()
    ran = kernel.finish(waiting)
    assert ran.status == "error"
    assert "nterrupt" in (ran.ename or "")
    assert ran.seconds < 5
    assert kernel.value("1 + 1") == "2"
    remote.wait(server.disconnected)


def test_a_model_is_made_of_others_and_tried(kernel: Kernel, remote: ThreadedProvider) -> None:
    server = remote.serve(says("ready"))
    made = kernel.ok(f"%model add mine openai:x --api-base {server.url} --retries 1 --timeout first=5,total=9")
    assert made.stdout == "mine is openai:x, retries 1, timeout first=5,total=9. Choose it: %model mine\n"
    assert kernel.ok("%model mine").stdout == "mine (openai:x) answers from now on.\n"
    assert kernel.ok("%model test").stdout.startswith("openai:x answers: ")
    assert kernel.ok("%%agent\nhi").mime("text/markdown") == ["ready"]


def test_a_key_is_asked_for_where_a_person_can_answer(kernel: Kernel, remote: ThreadedProvider, tmp_path: Path) -> None:
    server = remote.serve(lambda asked: says("hello") if asked.body else document({"data": [{"id": "x"}]}))
    setenv(kernel, OPENAI_BASE_URL=server.url)
    asking = kernel.start("%credential add openai", stdin=True)
    assert kernel.answer(KEY) == "key of openai: "
    added = kernel.finish(asking)
    assert added.stdout == (
        f"openai is kept in the file {tmp_path / 'secrets.json'}. openai models use it from now on.\n"
    )
    shown = kernel.ok("%credential")
    tried = kernel.ok("%credential test openai")
    told = kernel.ok("%%agent -m openai:x\nhi")
    assert told.mime("text/markdown") == ["hello"]
    assert {asked.headers["authorization"] for asked in server.requests} == {f"Bearer {KEY}"}
    kernel.ok("%credential disable openai")
    refused = kernel.run("%%agent -m openai:x\nhi")
    assert refused.ename == "CredentialError"
    assert "%credential enable openai" in (refused.error or "")
    hidden(added, shown, tried, told, refused)


def test_where_nobody_can_answer_a_variable_holds_the_key(kernel: Kernel) -> None:
    refused = kernel.run("%credential add openai")
    assert refused.ename == "UsageError"
    assert "--from-env VARIABLE" in (refused.error or "")
    setenv(kernel, MINE=KEY)
    kernel.ok("%credential add openai --from-env MINE")
    listed = kernel.ok("%credential")
    assert "sk-…on-1" in listed.mime("text/plain")[0]
    hidden(listed)
    kernel.ok("%credential rm openai\ndel os.environ['MINE']")
    assert "No keys yet" in kernel.ok("%credential list").mime("text/plain")[0]


def test_every_run_is_counted_under_the_number_of_its_cell(kernel: Kernel) -> None:
    kernel.ok("ws.use_model(FakeModel('one', 'two'))")
    kernel.ok("%%agent\nhi", "a")
    ran = kernel.ok("%%agent\nhi again", "b")
    number = next(m["content"]["execution_count"] for m in ran.messages if m["msg_type"] == "execute_input")
    rows = kernel.ok("%usage").mime("text/plain")[0].splitlines()
    assert [row.partition("]")[0] for row in rows[1:3]] == [f"In [{number - 1}", f"In [{number}"]
    assert rows[3].startswith("all")
    assert kernel.value(f"Out[{number}].text") == "two"


def test_a_cap_stops_what_would_break_it(kernel: Kernel, remote: ThreadedProvider) -> None:
    server = remote.serve(says("hello"))
    setenv(kernel, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.url)
    assert kernel.run("%%agent -m openai:gpt-5.4 --max-cost 0.0000001\nhi").ename == "BudgetExceeded"
    kernel.ok("%usage cap 0.0000001")
    assert kernel.run("%%agent -m openai:gpt-5.4\nhi").ename == "BudgetExceeded"
    assert server.requests == []
    kernel.ok("%usage cap 1")
    cell = kernel.ok("%%agent -m openai:gpt-5.4\nhi")
    assert "< $0.0001" in cell.mime("text/plain")[-1]
    assert "< $0.0001" in kernel.ok("%usage model").mime("text/plain")[0]


def test_an_answer_of_a_type_is_an_instance(kernel: Kernel) -> None:
    kernel.ok(f"import pydantic\nclass City(pydantic.BaseModel):\n    name: str\n    people: int\n{TOOLS}")
    kernel.ok(
        "ws.use_model(FakeModel(call('people', city='Oslo'), 'Oslo!', '{\"name\": \"Oslo\", \"people\": 709000}'))"
    )
    cell = kernel.ok("%%agent --schema City -t people -o city\nOslo?")
    assert any(text.startswith("↻ Your answer is not valid") for text in cell.mime("text/plain"))
    assert kernel.value("city, type(_).__name__, _.output is city") == (
        "(City(name='Oslo', people=709000), 'Result', True)"
    )


def thinking(text: str, signature: str) -> list[dict[str, object]]:
    """A block of thinking, as Anthropic streams it."""
    script = anthropic_script
    pieces = [script.delta(0, "thinking_delta", thinking=text[i : i + 5]) for i in range(0, len(text), 5)]
    signed = script.delta(0, "signature_delta", signature=signature)
    return [script.begin(0, "thinking", thinking=""), *pieces, signed, script.stop(0)]


def anthropic(asked: Asked) -> Answer:
    """Think and call the tool; then answer."""
    script = anthropic_script
    if len(asked.json["messages"]) == 1:
        call = script.tool(1, "toolu_1", '{"city": ', '"Oslo"}', name="people")
        return Answer(
            [script.sse(script.start(), *thinking("How many are they?", "sig=="), *call, *script.end("tool_use"))]
        )
    return Answer([script.sse(script.start(), *script.words("There are ", "709,000."), *script.end())])


def test_anthropics_thinking_streams_and_its_tools_work(kernel: Kernel, remote: ThreadedProvider) -> None:
    server = remote.serve(anthropic)
    setenv(kernel, ANTHROPIC_API_KEY=KEY, ANTHROPIC_BASE_URL=server.url.removesuffix("/v1"))
    kernel.ok(TOOLS)
    cell = kernel.ok('%%agent -m anthropic:claude-sonnet-4-5 -t people -p \'{"thinking": "low"}\'\nOslo?')
    assert cell.mime("text/plain")[:2] == ["Thinking: How many are they?", "✓ people(city='Oslo') → 709000"]
    assert cell.mime("text/markdown") == ["There are 709,000."]
    sent = server.requests[1].json["messages"]
    assert sent[1]["content"][0] == {"type": "thinking", "thinking": "How many are they?", "signature": "sig=="}
    assert sent[2]["content"][0]["tool_use_id"] == "toolu_1"
    assert server.requests[0].headers["x-api-key"] == KEY
    hidden(cell)


def gemini(asked: Asked) -> Answer:
    """Think and call the tool; then answer."""
    script = gemini_script
    if len(asked.json["contents"]) == 1:
        thought = {"text": "How many are they?", "thought": True}
        call = {**script.call("people", city="Oslo"), "thoughtSignature": "c2ln"}
        return script.stream(script.chunk(thought), script.chunk(call), script.chunk("", finish="STOP"))
    return script.stream(script.chunk("There are "), script.chunk("709,000."), script.chunk("", finish="STOP"))


def test_geminis_thinking_streams_and_its_tools_work(kernel: Kernel, remote: ThreadedProvider) -> None:
    server = remote.serve(gemini)
    setenv(kernel, GEMINI_API_KEY=KEY, GOOGLE_GEMINI_BASE_URL=server.url.replace("/v1", "/v1beta"))
    kernel.ok(TOOLS)
    cell = kernel.ok("%%agent -m gemini:gemini-3.5-flash -t people\nOslo?")
    assert cell.mime("text/plain")[:2] == ["Thinking: How many are they?", "✓ people(city='Oslo') → 709000"]
    assert cell.mime("text/markdown") == ["There are 709,000."]
    parts = server.requests[1].json["contents"][1]["parts"]
    assert "c2ln" in json.dumps(parts)
    assert KEY not in server.requests[0].path
    hidden(cell)


def test_a_table_reads_well_where_it_is_kept(kernel: Kernel) -> None:
    cell = kernel.ok("%model list openai 4o")
    assert cell.stdout == ""
    assert len(cell.outputs) == 1
    assert set(cell.outputs[0]) == {"text/plain", "text/html"}
