"""Runs within runs: what they are given, what is seen of them, and how they end."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import anyio
import pytest

from agentnb import Agent, FakeModel, Workspace, events, render
from agentnb.builtins.delegate import Delegate
from agentnb.errors import RequestRefused
from agentnb.messages import Message, Text, ToolResult
from agentnb.models.fake import Turn, call
from agentnb.requests import table
from agentnb.tools.base import Question, Reply, ToolContext, ToolReturn, Traits
from agentnb.tools.function import tool
from agentnb.transcript import ToolRun, Transcript, fold

pytestmark = pytest.mark.anyio


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def shout(text: str) -> str:
    """Make it loud."""
    return text.upper()


def given(messages: tuple[Message, ...]) -> list[str]:
    return [b.text for m in messages for b in m.content if isinstance(b, ToolResult)]


def within(transcript: Transcript) -> list[Transcript]:
    return [run for called in transcript.tools.values() for run in called.runs]


def script(**turns: Turn) -> FakeModel:
    """A model whose turns depend on a word of the last prompt."""
    return FakeModel(script=turns)


async def test_the_parent_sees_only_delegate_and_the_other_has_the_tools() -> None:
    model = script(
        Plan=[call("delegate", task="Sum 1 and 2", tools=["add"]), "It is 3."], Sum=[call("add", a=1, b=2), "3"]
    )
    result = await Agent(model, tools=[Delegate(), add, shout], namespace={}).run("Plan it")
    asked = [[spec.name for spec in request.tools] for request in model.requests]
    assert asked == [["delegate"], ["add"], ["add"], ["delegate"]]
    assert given(result.messages) == ["3"]
    [run] = within(result.transcript)
    assert (run.depth, run.agent, run.outcome, run.text) == (1, "delegate", "done", "3")
    assert given(run.messages) == ["3"]


async def test_what_it_took_is_counted_in_the_run_that_began_it() -> None:
    model = script(Plan=[call("delegate", task="Think"), "Done."], Think="Thought.")
    result = await Agent(model, tools=[Delegate()], namespace={}).run("Plan it")
    [run] = within(result.transcript)
    alone = await Agent(FakeModel("Done."), namespace={}).run("Plan it")
    assert run.usage.total > 0
    assert result.usage.total > run.usage.total + alone.usage.total


@pytest.mark.parametrize("spelling", ["tools", "tool_names", "tool_ids"])
@pytest.mark.parametrize("names", [["add", "shout"], "add, shout"])
async def test_every_spelling_of_the_tools_is_understood(spelling: str, names: object) -> None:
    model = script(Plan=[call("delegate", **{"task": "Sum", spelling: names, "model_id": "default"}), "."], Sum="3")  # type: ignore[arg-type]  # JSON, as a model writes it
    await Agent(model, tools=[Delegate(), add, shout], namespace={}).run("Plan it")
    assert [spec.name for spec in model.requests[1].tools] == ["add", "shout"]


async def test_no_tools_at_all_is_pure_thought() -> None:
    model = script(Plan=[call("delegate", task="Think", tools=[]), "."], Think="Hm.")
    await Agent(model, tools=[Delegate(), add], namespace={}).run("Plan it")
    assert model.requests[1].tools == ()


async def test_context_is_the_system_prompt_and_the_task_is_all_it_knows() -> None:
    model = script(Plan=[call("delegate", task="Think", context="You are brief."), "."], Think="Hm.")
    await Agent(model, tools=[Delegate()], system="You plan.", namespace={}).run("Plan it")
    assert [(m.role, m.text) for m in model.requests[1].messages] == [("system", "You are brief."), ("user", "Think")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "argument 'task' is missing"),
        ({"task": "x", "tools": ["ad"]}, "there is no tool 'ad' to hand on. Did you mean 'add'? There are: add"),
        ({"task": "x", "model": "openai:gpt-9"}, "model 'openai:gpt-9' is not one of this notebook"),
        ({"task": "x", "tool": ["add"]}, "unknown argument 'tool'. Did you mean 'tools'?"),
        ({"task": "x", "tools": 3}, "argument 'tools' should be a list of names"),
        ({"task": "x", "variables": ["nothing"]}, "there is no notebook variable 'nothing'"),
        ({"task": "x", "images": ["/etc/hostname"]}, "lies outside the notebook's folder"),
        ({"task": "x", "images": ["no.png"]}, "the picture 'no.png' cannot be handed on"),
    ],
)
async def test_what_cannot_be_handed_on_is_a_result_that_says_why(arguments: dict[str, object], said: str) -> None:
    model = FakeModel(call("delegate", **arguments), "Pity.")  # type: ignore[arg-type]  # as above
    result = await Agent(model, tools=[Delegate(), add], namespace={}).run("Plan it")
    [text] = given(result.messages)
    assert text.startswith("Error: ")
    assert said in text


class Person:
    """Answers every question so, and remembers them."""

    def __init__(self, choice: str) -> None:
        self.choice = choice
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> Reply | None:
        self.asked.append(question)
        return Reply(self.choice)


LEAK = "https://leak.example/x.png?what=secret"


@pytest.mark.parametrize("image", [LEAK, "there"])
async def test_a_person_sees_the_address_of_a_picture_before_it_is_sent_for(image: str) -> None:
    for person, approve, sent in (
        (None, "ask", False),
        (Person("deny"), "ask", False),
        (Person("approve"), "ask", True),
        (None, "auto", True),
    ):
        model = script(Plan=[call("delegate", task="Look", images=[image]), "."], Look="Seen.")
        agent = Agent(model, tools=[Delegate()], namespace={"there": LEAK}, asker=person, approve=approve)
        [said] = given((await agent.run("Plan it")).messages)
        assert said == ("Seen." if sent else f"Error: nobody allowed to send for {LEAK}.")
        assert all(each.body == (Text(LEAK),) for each in (person.asked if person else []))


async def test_a_failure_of_the_other_is_a_result_and_the_run_goes_on() -> None:
    model = script(Plan=[call("delegate", task="Fail"), "I tried."], Fail=RequestRefused("no money"))
    result = await Agent(model, tools=[Delegate()], namespace={}).run("Plan it")
    assert given(result.messages) == ["Error: delegate failed: no money"]
    [run] = within(result.transcript)
    assert (run.outcome, run.error) == ("error", "no money")
    assert result.text == "I tried."


async def test_nesting_is_bounded_and_each_is_one_deeper() -> None:
    deeper = call("delegate", task="Deeper", tools=["delegate"])
    last = call("delegate", task="Deeper", tools=[])
    model = FakeModel(deeper, deeper, last, "bottom", "2", "1", "top")
    result = await Agent(model, tools=[Delegate()], namespace={}).run("Deeper")
    depths = []
    runs = within(result.transcript)
    while runs:
        depths.append(runs[0].depth)
        runs = within(runs[0])
    assert depths == [1, 2, 3]
    assert result.text == "top"
    refused = FakeModel(deeper, deeper, call("delegate", task="Deeper", tools=["delegate"]), "end", "2", "1")
    result = await Agent(refused, tools=[Delegate()], namespace={}).run("Deeper")
    [one] = within(result.transcript)
    [two] = within(one)
    assert "no tool 'delegate' to hand on" in given(two.messages)[0]


@pytest.mark.parametrize(("value", "deep"), [("1", 1), ("true", 1), ("", 3), ("0", 3)])
def test_the_environment_may_forbid_nesting(value: str, deep: int) -> None:
    assert Delegate.within({"DISABLE_NESTED_DELEGATE": value}).max_depth == deep


async def test_only_the_variables_that_are_named_are_seen_and_what_is_made_comes_back() -> None:
    seen: dict[str, list[str]] = {}

    class Look:
        name, parallel = "look", False

        def spec(self, namespace: dict[str, object]) -> object:
            return tool(add).spec(namespace)

        async def call(self, arguments: object, context: ToolContext) -> ToolReturn:
            seen["names"] = sorted(context.namespace)
            context.namespace["made"] = 3
            return ToolReturn((Text("ok"),))

    model = FakeModel(call("delegate", task="Look", tools=["look"], variables=["x"]), call("look"), "seen", "done")
    namespace: dict[str, object] = {"x": 1, "secret": 2}
    await Agent(model, tools=[Delegate(), Look()], namespace=namespace).run("Look")
    assert seen == {"names": ["x"]}
    assert namespace == {"x": 1, "secret": 2, "made": 3}


async def test_calls_at_once_run_side_by_side_and_their_events_nest() -> None:
    both = asyncio.Barrier(2)

    async def meet(who: str) -> str:
        """Wait for the other."""
        await both.wait()
        return f"{who} met"

    asks = [call("delegate", task="Left", tools=["meet"]), call("delegate", task="Right", tools=["meet"])]
    model = script(Both=[asks, "Met."], Left=[call("meet", who="left"), "L"], Right=[call("meet", who="right"), "R"])
    agent = Agent(model, tools=[Delegate(), meet], namespace={})
    got: list[events.Event] = []
    with anyio.fail_after(5):
        async with aclosing(agent.stream("Both", run_id="root")) as stream:
            got.extend([event async for event in stream])
    transcript = fold(got)
    assert [r.text for r in within(transcript)] == ["L", "R"]
    assert [called.result and called.result.text for called in transcript.tools.values()] == ["L", "R"]
    assert all(event.parent_id == "root" for event in got if event.run_id != "root")
    assert len({event.run_id for event in got}) == 3


async def test_stopping_a_run_stops_those_within_it() -> None:
    started, stopped = asyncio.Event(), asyncio.Event()

    async def wait() -> str:
        """Wait for ever."""
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()
        return ""

    model = FakeModel(call("delegate", task="Wait", tools=["wait"]), call("wait"))
    got: list[events.Event] = []

    async def consume() -> None:
        async with aclosing(Agent(model, tools=[Delegate(), wait], namespace={}).stream("x")) as stream:
            async for event in stream:
                got.append(event)  # noqa: PERF401  # what came before it is stopped counts

    with anyio.fail_after(5):
        task = asyncio.create_task(consume())
        await started.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await stopped.wait()
    assert fold(got).outcome == "interrupted"


async def test_a_call_within_is_approved_by_the_same_person() -> None:
    class Guarded:
        name, parallel = "guarded", False
        traits = Traits("test-guarded", "test", "ask")

        def spec(self, namespace: dict[str, object]) -> object:
            return tool(shout, name="guarded").spec(namespace)

        async def call(self, arguments: object, context: ToolContext) -> ToolReturn:
            return ToolReturn((Text("ran"),))

    model = FakeModel(call("delegate", task="x", tools=["guarded"]), call("guarded", text="a"), "tried", "done")
    result = await Agent(model, tools=[Delegate(), Guarded()], namespace={}).run("x")
    [run] = within(result.transcript)
    assert "nobody can be asked here" in given(run.messages)[0]


async def test_a_cap_counts_all_of_them_together() -> None:
    model = FakeModel(call("delegate", task="Think"), "Thought.", "Done.", name="openai:gpt-5-mini")
    workspace = Workspace({}, environ={})
    workspace.use_model(model)
    workspace.cap(1.0)
    agent = workspace.agent(tools=[Delegate()], max_cost=0.5)
    result = await agent.run("Plan it")
    [run] = within(result.transcript)
    assert run.usage.usd
    assert result.usage.usd
    assert run.usage.usd < result.usage.usd
    assert workspace.budget
    assert workspace.budget.spent == pytest.approx(result.usage.usd)
    workspace.close()


async def test_a_skill_opens_itself_without_taking_a_round() -> None:
    class Skill:
        name, parallel = "reporting", False

        def spec(self, namespace: dict[str, object]) -> object:
            return tool(shout, name="reporting").spec(namespace)

        async def call(self, arguments: object, context: ToolContext) -> ToolReturn:
            return ToolReturn((Text("How to report: …"),), unlocks=(tool(shout),), used_up=True)

    turns = [[call("reporting"), call("add", a=1, b=1)], call("shout", text="hi"), "HI"]
    model = FakeModel(*turns)
    result = await Agent(model, tools=[Skill(), add], max_rounds=1, namespace={}).run("Report")
    assert result.transcript.outcome == "done"
    assert [sorted(spec.name for spec in request.tools) for request in model.requests] == [
        ["add", "reporting"],
        ["add", "shout"],
        ["add", "shout"],
    ]
    assert given(result.messages) == ["How to report: …", "2", "HI"]


async def test_a_table_of_tools_stands_in_the_system_prompt() -> None:
    class OfServer:
        parallel = True
        traits = Traits("mcp-time-now", "time", "ask")

        def __init__(self, name: str) -> None:
            self.name = name
            self.traits = Traits(f"mcp-time-{name}", "time", "ask")

        def spec(self, namespace: dict[str, object]) -> object:
            return tool(shout, name=self.name).spec(namespace)

    tools = [tool(add), OfServer("now"), OfServer("zones")]
    written = table(tools, {})  # type: ignore[arg-type]  # all that a table looks at
    assert written.splitlines() == [
        "| Tool(s) | Description |",
        "|---|---|",
        "| add | Add two numbers. |",
        "| now, zones | time |",
    ]
    model = FakeModel("Hi.")
    await Agent(model, tools=[add], system="You have:\n{{TOOLS}}", namespace={}).run("Hi")
    assert "| add | Add two numbers. |" in model.requests[0].messages[0].text


async def test_a_card_shows_the_run_within_it_escaped_and_nested() -> None:
    inner = [call("shout", text="<b>"), "It is <i>loud</i>."]
    model = script(Plan=[call("delegate", task="Shout <b>"), "Done."], Shout=inner)
    result = await Agent(model, tools=[Delegate(), shout], namespace={}).run("Plan it")
    [shown] = [b for b in render.bundles(result.transcript) if b.id.startswith("c")]
    html, text = str(shown.data["text/html"]), str(shown.data["text/plain"])
    assert "<i>loud" not in html
    assert "It is &lt;i&gt;loud&lt;/i&gt;." in html
    assert "delegate · fake:script" in html
    assert html.count("<details") == 2
    assert "✓ shout(text='<b>') → <B>" in text


async def test_a_card_is_open_and_final_only_when_the_run_within_has_ended() -> None:
    started = [events.RunStarted("m", run_id="a"), *_called("a", "c1")]
    inner = [
        events.RunStarted("m", "delegate", "c1", 1, run_id="b", parent_id="a"),
        events.TextDelta("Half", run_id="b", parent_id="a"),
    ]
    growing = fold([*started, *inner])
    assert growing.tools["c1"].runs[0].text == "Half"
    [piece] = [p for p in render.Renderer().pieces(growing) if p.id.startswith("c")]
    assert not piece.final
    assert "Half" in str(piece.make().data["text/html"])
    more = fold([*started, *inner, events.TextDelta(" way", run_id="b", parent_id="a")])
    [later] = [p for p in render.Renderer().pieces(more) if p.id.startswith("c")]
    assert later.version != piece.version


def _called(run_id: str, call_id: str) -> list[events.Event]:
    return [
        events.ToolCallStart(call_id, "delegate", run_id=run_id),
        events.ToolCallEnd(call_id, run_id=run_id),
        events.MessageEnd("tool_calls", run_id=run_id),
        events.ToolStarted(call_id, run_id=run_id),
    ]


async def test_progress_and_an_open_question_are_in_the_card() -> None:
    begun = [events.RunStarted("m", run_id="a"), *_called("a", "c1")]
    far = fold([*begun, events.ToolProgress("c1", 3, 4, "copying", run_id="a")])
    assert far.tools["c1"] == ToolRun("c1", "running", progress=(3, 4, "copying"))
    [piece] = [p for p in render.Renderer().pieces(far) if p.id.startswith("c")]
    assert "3/4 copying" in str(piece.make().data["text/plain"])
    asked = fold([*begun[:-1], events.ApprovalRequested(("c1",), run_id="a")])
    [piece] = [p for p in render.Renderer().pieces(asked) if p.id.startswith("c")]
    assert "waits for you" in str(piece.make().data["text/plain"])
