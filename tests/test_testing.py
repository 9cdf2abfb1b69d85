from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from inline_snapshot import snapshot

from agentnb import events, messages
from agentnb.events import ModelEvent
from agentnb.models.base import Request
from agentnb.models.fake import FakeModel, call
from agentnb.testing import check_model

pytestmark = pytest.mark.anyio
SCRIPT = {
    "2 + 3": [[call("add", a=2, b=3)], "It is 5."],
    "Bern": '{"name": "Bern", "people": 134000}',
    "hello": "Hello!",
}


async def test_a_model_that_keeps_to_the_contract_is_told_so() -> None:
    report = await check_model(FakeModel(script=SCRIPT))
    assert report.ok
    report.assert_ok()
    assert str(report) == snapshot("""\
fake:script: keeps to the contract of a model
✓ its name is provider:model: fake:script
✓ a stream yields only events of a model: 3 events
✓ it ends with exactly one MessageEnd, that says why and who: stop
✓ its events fold into a text: Hello!
✓ it counts tokens: 8 in, 1 out
✓ asked for the answer in one piece, it gives the same kind of events: 3 events
✓ runs at the same time do not mix
✓ a stream that is closed early lets go at once
✓ a run that is cancelled ends at once
✓ a long conversation with roles in turn is understood
✓ a tool call has an id, a name and whole JSON arguments: add({"a":2,"b":3})
✓ a tool's result is taken in: It is 5.
✓ JSON of a schema is given where it is asked for: {"name": "Bern", "people": 134000}\
""")


async def test_what_cannot_be_done_may_be_left_out() -> None:
    report = await check_model(FakeModel(script={"hello": "Hello!"}), tools=False, output=False)
    assert report.ok
    assert [check.verdict for check in report.checks[-3:]] == ["skipped"] * 3


class Wrong:
    """Breaks every rule it can."""

    name = "wrong"

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        yield events.TextDelta("")
        yield events.Usage(messages.Usage(1, 5))
        yield events.Usage(messages.Usage(1, 2))
        yield events.MessageEnd("finished", None, "somebody")
        yield events.TextDelta("more")
        if request.tools:
            raise RuntimeError("no tools here")


async def test_each_broken_rule_is_named_with_what_was_seen() -> None:
    report = await check_model(Wrong())
    seen = {check.rule: check.seen for check in report.checks if check.verdict == "failed"}
    assert not report.ok
    assert seen["its name is provider:model"] == "it is 'wrong'"
    assert seen["a stream yields only events of a model"] == "1 empty TextDelta"
    assert "the last event is TextDelta" in seen["it ends with exactly one MessageEnd, that says why and who"]
    assert seen["it counts tokens"].startswith("they shrink")
    calls = seen["a tool call has an id, a name and whole JSON arguments"]
    assert calls == "raised RuntimeError (no tools here), which is not a ModelError"
    with pytest.raises(AssertionError, match="wrong fails:\nits name is provider:model: it is 'wrong'"):
        report.assert_ok()


class Hanging:
    """Never answers, and hears no cancelling for a while."""

    name = "p:hanging"

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        await asyncio.Event().wait()
        yield events.TextDelta(str(request))


async def test_a_model_that_hangs_fails_each_check_in_its_time() -> None:
    report = await check_model(Hanging(), seconds=0.01)
    assert "not done after 0.01 s" in [check.seen for check in report.checks]


async def test_a_report_is_a_table_in_which_nothing_the_model_said_is_markup() -> None:
    report = await check_model(FakeModel(script={**SCRIPT, "hello": "<script>alert(1)</script>"}))
    assert "<script>" not in report._repr_html_()
    assert "&lt;script&gt;" in report._repr_html_()
