"""The loop: ask, run the tools, ask again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
import pytest

from agentnb import events
from agentnb.agent import Agent
from agentnb.codec import dump_json
from agentnb.errors import RequestRefused, RunInterrupted, StreamBroken
from agentnb.messages import Data, Message, Text, Thinking, ToolCall, ToolResult, ToolSpec, Usage, user
from agentnb.models.base import Request
from agentnb.models.cards import Card, Cards
from agentnb.models.dialect import Quirks
from agentnb.models.dialects import DIALECTS
from agentnb.models.fake import FakeModel, call
from agentnb.models.options import Options
from agentnb.models.wire import WireCache
from agentnb.tools.base import ToolReturn
from agentnb.tools.function import tool
from agentnb.transcript import Transcript, fold

pytestmark = pytest.mark.anyio


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def results(messages: tuple[Message, ...]) -> list[ToolResult]:
    return [block for message in messages for block in message.content if isinstance(block, ToolResult)]


async def test_an_answer_without_tools_is_one_round() -> None:
    result = await Agent(FakeModel("Hello."), namespace={}).run("Hi")
    assert str(result) == result.text == "Hello."
    assert [message.role for message in result.messages] == ["user", "assistant"]
    assert result.transcript.outcome == "done"


async def test_a_tool_is_run_and_its_result_goes_back_to_the_model() -> None:
    model = FakeModel(call("add", a=2, b=3), "It is 5.")
    result = await Agent(model, tools=[add], namespace={}).run("2 + 3?")
    assert result.text == "It is 5."
    assert [r.text for r in results(result.messages)] == ["5"]
    assert model.requests[1].messages[-1].role == "tool"
    assert [spec.name for spec in model.requests[0].tools] == ["add"]


async def test_the_system_prompt_leads_every_request_and_stays_out_of_the_transcript() -> None:
    model = FakeModel(call("add", a=1, b=1), "2")
    result = await Agent(model, tools=[add], system="Be brief.", namespace={}).run("1 + 1?")
    assert all(request.messages[0] == Message("system", (Text("Be brief."),)) for request in model.requests)
    assert "system" not in [message.role for message in result.messages]


async def test_placeholders_are_filled_from_the_globals_of_the_caller() -> None:
    model = FakeModel("ok")
    globals()["month_of_this_test"] = "May"
    await Agent(model).run("Sales in {{month_of_this_test}}?")
    assert model.requests[0].messages[-1].text == "Sales in May?"


async def test_parallel_calls_run_at_once_and_are_answered_in_order() -> None:
    both = asyncio.Event()
    waiting = 0

    async def wait(name: str) -> str:
        """Wait for the other one."""
        nonlocal waiting
        waiting += 1
        if waiting == 2:
            both.set()
        await both.wait()
        return name

    model = FakeModel([call("wait", name="first"), call("wait", name="second")], "done")
    with anyio.fail_after(5):
        result = await Agent(model, tools=[wait], namespace={}).run("go")
    assert [r.text for r in results(result.messages)] == ["first", "second"]


async def test_plain_functions_run_one_after_the_other() -> None:
    seen: list[str] = []

    def step(name: str) -> str:
        """Take a step."""
        seen.append(name)
        return name

    await Agent(FakeModel([call("step", name="a"), call("step", name="b")], "ok"), tools=[step], namespace={}).run("x")
    assert seen == ["a", "b"]


async def test_a_tool_that_raises_is_a_result_that_the_model_reads() -> None:
    def bad() -> None:
        """Fail."""
        raise KeyError("month")

    model = FakeModel(call("bad"), "Sorry.")
    result = await Agent(model, tools=[bad], namespace={}).run("x")
    answer = results(result.messages)[0]
    assert answer.is_error
    assert answer.text == "Error: KeyError: 'month'"
    assert result.text == "Sorry."
    shown = result.transcript.tools[answer.call_id].output
    assert "raise KeyError" in "".join(block.text for block in shown if isinstance(block, Text))


async def test_an_unknown_tool_names_the_nearest() -> None:
    model = FakeModel(call("ad", a=1, b=2), "ok")
    result = await Agent(model, tools=[add], namespace={}).run("x")
    assert results(result.messages)[0].text == "Error: tool 'ad' not found. Did you mean 'add'?"


@pytest.mark.parametrize("arguments", ['{"a": 1, "b"', "[1, 2]", '{"a": "one", "b": 2}'])
async def test_arguments_that_do_not_fit_are_an_error_result_and_nothing_runs(arguments: str) -> None:
    ran: list[int] = []

    def note(a: int, b: int) -> int:  # part of its schema
        """Note it."""
        ran.append(a)
        return a

    model = FakeModel(ToolCall("c1", "note", arguments), "ok")
    result = await Agent(model, tools=[note], namespace={}).run("x")
    assert results(result.messages)[0].is_error
    assert ran == []


async def test_empty_arguments_are_no_arguments() -> None:
    def now() -> str:
        """Tell the time."""
        return "noon"

    result = await Agent(FakeModel(ToolCall("c1", "now", ""), "ok"), tools=[now], namespace={}).run("x")
    assert results(result.messages)[0].text == "noon"


class CutOff:
    """A model whose answer hits the length limit inside a call, although the arguments happen to parse."""

    name = "fake:cut"

    def __init__(self) -> None:
        self.asked = 0

    async def stream(self, _: Request) -> AsyncGenerator[events.ModelEvent, None]:
        self.asked += 1
        if self.asked == 1:
            yield events.ToolCallStart("c1", "add")
            yield events.ToolCallArgs("c1", '{"a": 1, "b": 2}')
            yield events.ToolCallEnd("c1")
            yield events.MessageEnd("length")
        else:
            yield events.TextDelta("ok")
            yield events.MessageEnd("stop")


async def test_a_call_that_was_cut_off_never_runs() -> None:
    result = await Agent(CutOff(), tools=[add], namespace={}).run("x")
    assert "cut off" in results(result.messages)[0].text


async def test_at_the_round_limit_every_pending_call_is_answered_and_the_run_stops() -> None:
    calls = [call("add", a=1, b=1), call("add", a=2, b=2)]
    model = FakeModel(calls, calls, "never")
    result = await Agent(model, tools=[add], max_rounds=1, namespace={}).run("x")
    assert result.transcript.outcome == "max_rounds"
    last = results(result.messages)[2:]
    assert [r.text for r in last] == ["Error: maximum tool-call rounds (1) reached. Tool 'add' was not executed."] * 2
    assert len(model.requests) == 2


async def test_zero_rounds_means_no_tool_runs() -> None:
    result = await Agent(FakeModel(call("add", a=1, b=1)), tools=[add], max_rounds=0, namespace={}).run("x")
    assert result.transcript.outcome == "max_rounds"


async def test_usage_is_summed_once() -> None:
    seen: list[events.Event] = []
    agent = Agent(FakeModel(call("add", a=1, b=1), "2"), tools=[add], namespace={})
    async with aclosing(agent.stream("x")) as stream:
        seen += [event async for event in stream]
    turns, last = Usage(), Usage()
    for event in seen:
        match event:
            case events.Usage(usage=last):
                pass
            case events.MessageEnd():
                turns += last
    finished = seen[-1]
    assert isinstance(finished, events.RunFinished)
    assert finished.usage == turns == fold(seen).usage != Usage()


async def test_every_event_carries_its_run() -> None:
    async with aclosing(Agent(FakeModel("a"), namespace={}).stream("x", run_id="r7")) as stream:
        assert {event.run_id async for event in stream} == {"r7"}


async def test_a_provider_that_fails_ends_the_run_with_the_partial_kept() -> None:
    model = FakeModel(["half an answer", RequestRefused("Overloaded.", status=529)])
    with pytest.raises(RequestRefused) as caught:
        await Agent(model, namespace={}).run("x")
    partial = caught.value.transcript
    assert isinstance(partial, Transcript)
    assert partial.text == "half an answer"
    assert (partial.outcome, partial.error) == ("error", "Overloaded.")


class Truncated:
    """A model whose stream just ends."""

    name = "fake:truncated"

    async def stream(self, _: Request) -> AsyncGenerator[events.ModelEvent, None]:
        yield events.ToolCallStart("c1", "add")
        yield events.ToolCallArgs("c1", '{"a": 1, "b": 2}')


async def test_a_stream_without_an_end_is_an_error_and_its_calls_do_not_run() -> None:
    with pytest.raises(StreamBroken, match="stopped in the middle") as caught:
        await Agent(Truncated(), tools=[add], namespace={}).run("x")
    assert isinstance(caught.value.transcript, Transcript)
    assert results(caught.value.transcript.messages) == []


class Silent:
    """A model that says one word and then nothing; `closed` is set when its stream is closed."""

    name = "fake:silent"

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.spoke = asyncio.Event()

    async def stream(self, _: Request) -> AsyncGenerator[events.ModelEvent, None]:
        try:
            yield events.TextDelta("half")
            self.spoke.set()
            await asyncio.sleep(3600)
        finally:
            self.closed.set()


async def test_cancelling_closes_the_model_and_says_so_in_the_stream() -> None:
    model, seen = Silent(), []

    async def consume() -> None:
        async with aclosing(Agent(model, namespace={}).stream("x")) as stream:
            async for event in stream:
                seen.append(event)  # noqa: PERF401  # what came before the task is cancelled counts

    task = asyncio.create_task(consume())
    with anyio.fail_after(5):
        await model.spoke.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await model.closed.wait()
    run = fold(seen)
    assert (run.text, run.outcome) == ("half", "interrupted")


async def test_cancelling_stops_async_tools() -> None:
    stopped = asyncio.Event()
    started = asyncio.Event()

    async def hang() -> None:
        """Hang."""
        started.set()
        try:
            await asyncio.sleep(3600)
        finally:
            stopped.set()

    task = asyncio.create_task(Agent(FakeModel(call("hang")), tools=[hang], namespace={}).run("x"))
    with anyio.fail_after(5):
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert stopped.is_set()


async def test_a_history_with_an_open_call_is_closed_before_it_is_sent() -> None:
    model = FakeModel("ok")
    history = (user("x"), Message("assistant", (ToolCall("c1", "add"),), finish="interrupted"))
    await Agent(model, tools=[add], namespace={}).run("again", history=history)
    assert [m.role for m in model.requests[0].messages] == ["user", "assistant", "tool", "user"]


async def test_thinking_stays_in_the_message_that_goes_back() -> None:
    model = FakeModel([Thinking("hm", "sig"), call("add", a=1, b=1)], "2")
    await Agent(model, tools=[add], namespace={}).run("x")
    assert model.requests[1].messages[1].content[0] == Thinking("hm", "sig")


async def test_output_of_a_running_tool_comes_before_its_result() -> None:
    @tool
    def progress() -> object:
        """Report."""
        yield "one"
        yield "two"

    kinds: list[str] = []
    async with aclosing(Agent(FakeModel(call("progress"), "ok"), tools=[progress], namespace={}).stream("x")) as stream:
        kinds += [event.type async for event in stream]
    assert kinds.index("tool_started") < kinds.index("tool_output") < kinds.index("tool_result")


async def test_options_go_with_every_request() -> None:
    model = FakeModel("ok")
    await Agent(model, options={"temperature": 0}, namespace={}).run("x")
    assert model.requests[0].options == Options(temperature=0)


def test_run_sync_works_in_a_script() -> None:
    assert Agent(FakeModel(call("add", a=1, b=2), "3"), tools=[add], namespace={}).run_sync("x").text == "3"


async def test_run_sync_works_where_a_loop_is_running_already() -> None:
    async def slow() -> str:
        """An async tool."""
        await asyncio.sleep(0)
        return "done"

    agent = Agent(FakeModel(call("slow"), "ok"), tools=[slow], namespace={})
    result = await asyncio.to_thread(agent.run_sync, "x")
    assert results(result.messages)[0].text == "done"


def test_an_interrupted_run_sync_keeps_what_there_was() -> None:
    def stop() -> None:
        """Be stopped."""
        signal.raise_signal(signal.SIGINT)

    agent = Agent(FakeModel(["Let me see.", call("stop")]), tools=[stop], namespace={})
    with pytest.raises(RunInterrupted) as caught:
        agent.run_sync("x")
    assert isinstance(caught.value.transcript, Transcript)
    assert caught.value.transcript.text == "Let me see."


async def test_a_tool_that_gives_up_the_run_takes_the_others_along() -> None:
    started, stopped = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        """Wait."""
        started.set()
        try:
            await asyncio.sleep(3600)
        finally:
            stopped.set()

    async def give_up() -> None:
        """Give up."""
        await started.wait()
        raise asyncio.CancelledError

    agent = Agent(FakeModel([call("wait"), call("give_up")]), tools=[wait, give_up], namespace={})
    with anyio.fail_after(5), pytest.raises(asyncio.CancelledError):
        await agent.run("x")
    assert stopped.is_set()


async def test_the_system_prompt_is_the_same_message_at_every_round() -> None:
    # What was made of the beginning of a conversation is kept by the identity of its messages.
    model = FakeModel(call("add", a=1, b=1), "2", "3")
    agent = Agent(model, tools=[add], system="Be brief.", namespace={})
    await agent.run("1 + 1?")
    assert model.requests[0].messages[0] is model.requests[1].messages[0]
    agent.system = "Be long."
    await agent.run("1 + 2?")
    assert model.requests[2].messages[0] == Message("system", (Text("Be long."),))


async def test_what_no_json_can_hold_never_ends_a_run_through_a_tool() -> None:
    def odd() -> object:
        """A file whose name is no Unicode."""
        raise ValueError("no file \udc80.txt")

    class Raw:
        name, parallel = "raw", False

        def spec(self, _namespace: object) -> ToolSpec:
            return ToolSpec("raw", "", {})

        async def call(self, _arguments: object, _context: object) -> ToolReturn:
            return ToolReturn((Text("\ud800"), Data({"n": 2**70})))

    model = FakeModel([call("odd"), call("raw")], "ok")
    run = await Agent(model, tools=[odd, Raw()], namespace={}).run("x")
    for dialect in DIALECTS.values():
        body = dialect.format_request(model.requests[1], model="m", quirks=Quirks(), cache=WireCache())
        assert b"1180591620717411303424" in body
    assert "no file ?.txt" in results(run.messages)[0].text
    dump_json(run.transcript)


def _small() -> Cards:
    return Cards([Card("fake:script", context=400)])


async def test_the_oldest_turns_are_left_out_where_the_context_is_small() -> None:
    model = FakeModel("It is 5.")
    old = (user("old " * 400), Message("assistant", (Text("I see. " * 50),)))
    await Agent(model, cards=_small(), namespace={}).run("And now?", history=old)
    assert [message.text for message in model.requests[0].messages] == ["And now?"]


async def test_the_question_stays_while_a_wrong_answer_is_asked_for_again() -> None:
    model = FakeModel("word " * 100, '{"response": 5}')
    question = "How many? " + "Think. " * 60
    result = await Agent(model, cards=_small(), namespace={}).run(question, output=int)
    assert result.output == 5
    assert model.requests[1].messages[0].text == question


async def test_a_question_that_is_too_long_by_itself_is_sent_all_the_same() -> None:
    model = FakeModel("ok")
    await Agent(model, cards=_small(), namespace={}).run("long " * 1000)
    assert len(model.requests) == 1
