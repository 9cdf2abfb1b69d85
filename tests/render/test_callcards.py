"""The card of a call: its one line, and what is below it."""

from __future__ import annotations

import json

from agentnb.messages import JSON, Message, Text, ToolCall, ToolResult
from agentnb.render import callcards, calls
from agentnb.transcript import ToolRun, Transcript


def signature(**arguments: JSON) -> str:
    return calls.signature(ToolCall("c", "python", json.dumps(arguments)))


def test_a_text_is_cut_before_it_is_quoted() -> None:
    assert signature(code="x = 'a'\ny = 1") == """python(code="x = 'a' ⏎ y = 1")"""
    assert signature(code="1234567\n" * 20).endswith("…')")
    assert signature(n=3, flag=None, given=["a", {"b": 1}]) == "python(n=3, flag=None, given=['a', {'b': 1}])"


def shown(said: str, result: str) -> str:
    """The card of a call whose run said something, and that gave a result."""
    within = Transcript(model="fake:x", messages=(Message("assistant", (Text(said),)),), outcome="done")
    call = ToolCall("c", "delegate", '{"task": "look"}')
    run = ToolRun("c", status="done", runs=(within,), result=ToolResult("c", "delegate", (Text(result),)))
    return str(callcards.card("c", call, Transcript(tools={"c": run}, outcome="done")).make().data["text/html"])


def test_what_a_run_within_said_last_is_not_told_twice() -> None:
    assert ">result<" not in shown("All **three**.\n", "All **three**.")
    assert "All **three**." in shown("All **three**.", "All **three**.")
    assert ">result<" in shown("All three.", "Cut: all.")
    assert ">result<" in shown("long " * 1000, "long " * 1000)


def test_the_headline_of_a_call_hides_nothing_that_a_terminal_would() -> None:
    assert signature(code="os.system('x')\rprint('hello')") == "python(code=\"os.system('x')␍print('hello')\")"
