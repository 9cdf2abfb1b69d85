"""Who decides about a call: the person's rules, the tool's own, the run's mode, and the person."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from agentnb import Agent, FakeModel, Reply, codec
from agentnb.approval import Policy
from agentnb.conversation import unanswered
from agentnb.errors import ToolError, UsageError
from agentnb.messages import Content, JSONObject, Message, Text, ToolResult, ToolSpec
from agentnb.models.fake import call
from agentnb.tools.base import Approval, Question, ToolContext, ToolReturn, Traits

pytestmark = pytest.mark.anyio


class Launch:
    """A tool that wants asking."""

    name = "launch"
    parallel = False

    def __init__(self, approval: Approval = "ask") -> None:
        self.traits = Traits("test-launch", "test", approval)
        self.ran: list[JSONObject] = []

    def spec(self, namespace: Mapping[str, object]) -> ToolSpec:
        return ToolSpec(self.name, "Launch it.", {"type": "object", "properties": {"where": {"type": "string"}}})

    def check(self, arguments: JSONObject, context: ToolContext) -> None:
        if arguments.get("where") == "nowhere":
            raise ToolError("there is no nowhere")

    async def preview(self, arguments: JSONObject, context: ToolContext) -> tuple[Content, ...]:
        return (Text(f"would fly to {arguments['where']}"),)

    async def call(self, arguments: JSONObject, context: ToolContext) -> ToolReturn:
        self.ran.append(arguments)
        return ToolReturn((Text("up"),))


class Person:
    """Gives the answers it was made with, and remembers the questions."""

    def __init__(self, *replies: Reply | None) -> None:
        self.replies = list(replies)
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> Reply | None:
        self.asked.append(question)
        return self.replies.pop(0)


def given(messages: tuple[Message, ...]) -> list[str]:
    return [b.text for m in messages for b in m.content if isinstance(b, ToolResult)]


MOON = call("launch", where="moon")


async def test_a_person_sees_what_a_call_would_do_and_approves_it() -> None:
    tool, person = Launch(), Person(Reply("approve"))
    result = await Agent(FakeModel(MOON, "Done."), tools=[tool], asker=person, namespace={}).run("Go")
    assert tool.ran == [{"where": "moon"}]
    assert given(result.messages) == ["up"]
    [question] = person.asked
    assert question.title == "Allow launch?"
    assert question.body == (Text("would fly to moon"),)
    assert question.values == {"where": "moon"}
    assert question.fields is not None
    assert [choice.id for choice in question.choices] == ["approve", "edit", "deny", "session", "notebook"]


async def test_a_person_is_told_first_that_there_is_more_than_is_shown() -> None:
    person = Person(Reply("deny"))
    long = call("launch", where="moon" + " " * 50_000 + "and the sun")
    await Agent(FakeModel(long, "Pity."), tools=[Launch()], asker=person, namespace={}).run("Go")
    first = person.asked[0].body[0]
    assert isinstance(first, Text)
    assert first.text.startswith("This is long: 50,028 characters.")


async def test_a_person_reads_whose_tool_it_is_where_it_is_another_s() -> None:
    for source, title in (("mcp-evil-launch", "Allow launch of evil?"), ("builtin-launch", "Allow launch?")):
        tool, person = Launch(), Person(Reply("deny"))
        tool.traits = Traits(source, "evil", "ask")
        await Agent(FakeModel(MOON, "Pity."), tools=[tool], asker=person, namespace={}).run("Go")
        assert [question.title for question in person.asked] == [title]


async def test_arguments_that_a_person_edits_run_and_the_model_is_told() -> None:
    tool, person = Launch(), Person(Reply("edit", {"where": "mars"}))
    result = await Agent(FakeModel(MOON, "Done."), tools=[tool], asker=person, namespace={}).run("Go")
    assert tool.ran == [{"where": "mars"}]
    assert given(result.messages) == ['(The person changed the arguments to {"where": "mars"} before this ran.)\nup']


async def test_a_denial_carries_its_reason_to_the_model() -> None:
    tool, person = Launch(), Person(Reply("deny", reason="Not on a weekday."))
    result = await Agent(FakeModel(MOON, "Pity."), tools=[tool], asker=person, namespace={}).run("Go")
    assert tool.ran == []
    assert given(result.messages) == [
        "Error: the person did not allow this call of launch. They said: Not on a weekday."
    ]
    assert result.text == "Pity."


async def test_where_nobody_can_be_asked_a_call_is_refused() -> None:
    tool = Launch()
    for asker in (None, Person(None)):
        result = await Agent(FakeModel(MOON, "Pity."), tools=[tool], asker=asker, namespace={}).run("Go")
        assert given(result.messages) == [
            "Error: launch was not run: it needs a person's approval, and nobody can be asked here. "
            "To allow it beforehand: %tool approve launch always, or --approve auto."
        ]
    assert tool.ran == []


async def test_always_is_remembered_for_the_session() -> None:
    tool, person, policy = Launch(), Person(Reply("session")), Policy()
    for _ in range(2):
        await Agent(FakeModel(MOON, "Done."), tools=[tool], asker=person, policy=policy, namespace={}).run("Go")
    assert len(tool.ran) == 2
    assert len(person.asked) == 1


async def test_always_for_one_source_is_not_for_another_whose_ids_read_the_same() -> None:
    for kind in ("mcp", "openapi"):
        theirs, other, policy = Launch(), Launch(), Policy()
        theirs.traits = Traits(f"{kind}-time-zone-set", "time-zone", "ask")
        other.traits = Traits(f"{kind}-time-zone-set", "time", "ask")
        person = Person(Reply("session"), Reply("deny"))
        for tool in (theirs, other, theirs):
            await Agent(FakeModel(MOON, "Done."), tools=[tool], asker=person, policy=policy, namespace={}).run("Go")
        assert (len(theirs.ran), other.ran, len(person.asked)) == (2, [], 2)


async def test_always_settles_the_calls_that_wait_behind_it() -> None:
    launch, person = Launch(), Person(Reply("session"))
    launch.parallel = True
    model = FakeModel([call("launch", where="here"), call("launch", where="there")], "Up.")
    await Agent(model, tools=[launch], asker=person).run("go")
    assert len(person.asked) == 1
    assert len(launch.ran) == 2


async def test_arguments_that_do_not_fit_are_not_shown_to_a_person() -> None:
    tool, person = Launch(), Person()
    model = FakeModel(call("launch", where="nowhere"), "Pity.")
    result = await Agent(model, tools=[tool], asker=person, namespace={}).run("Go")
    assert given(result.messages) == ["Error: there is no nowhere"]
    assert person.asked == []


@pytest.mark.parametrize(
    ("own", "rule", "mode", "runs"),
    [
        ("ask", None, "auto", True),
        ("ask", None, "never", False),
        ("ask", "always", "ask", True),
        ("ask", "never", "auto", False),
        ("always", None, "never", True),
        ("always", "never", "ask", False),
        ("always", "ask", "never", False),
        ("never", None, "auto", False),
        ("never", "always", "ask", True),
    ],
)
async def test_the_persons_rule_goes_before_the_tools_and_the_mode_decides_what_wants_asking(
    own: Approval, rule: Approval | None, mode: str, runs: bool
) -> None:
    tool, policy = Launch(own), Policy()
    if rule:
        policy.remember("test-launch", rule)
    model = FakeModel(MOON, "Done.")
    await Agent(model, tools=[tool], policy=policy, approve=mode, namespace={}).run("Go")
    assert bool(tool.ran) == runs


def test_a_mode_that_is_not_known_is_named() -> None:
    with pytest.raises(UsageError, match=r"approve='atuo' is not known. Did you mean 'auto'"):
        Agent(FakeModel(), approve="atuo", namespace={})


# Rules


def test_a_rule_for_a_notebook_outlives_the_kernel_and_holds_for_no_other(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "approvals.json"
    Policy(lambda: file, "/a.ipynb").remember("bash", "always", scope="notebook")
    assert Policy(lambda: file, "/a.ipynb").rule("bash") == "always"
    assert Policy(lambda: file, "/b.ipynb").rule("bash") is None
    assert file.stat().st_mode & 0o077 == 0
    Policy(lambda: file, "/a.ipynb").forget("bash")
    assert Policy(lambda: file, "/a.ipynb").rules() == {}


def test_a_rule_of_the_session_goes_before_that_of_the_notebook(tmp_path: Path) -> None:
    policy = Policy(lambda: tmp_path / "a.json", "/a.ipynb")
    policy.remember("bash", "always", scope="notebook")
    policy.remember("bash", "never")
    assert policy.rule("bash") == "never"
    policy.remember("bash", "ask", scope="notebook")
    assert policy.rule("bash") == "ask"


def test_what_another_kernel_takes_back_does_not_go_on_here(tmp_path: Path) -> None:
    here, there = (Policy(lambda: tmp_path / "a.json", "/a.ipynb") for _ in range(2))
    here.remember("bash", "always", scope="notebook")
    assert there.rule("bash") == "always"
    here.forget("bash")
    assert there.rule("bash") is None
    here.remember("bash", "never", scope="notebook")
    assert there.rule("bash") == "never"


@pytest.mark.skipif(sys.platform == "win32", reason="no such modes")
def test_a_file_that_others_can_write_allows_nothing_and_still_forbids(tmp_path: Path) -> None:
    file = tmp_path / "approvals.json"
    file.write_text('{"/a.ipynb": {"bash": "always", "python": "never"}}')
    file.chmod(0o666)
    assert Policy(lambda: file, "/a.ipynb").rules() == {"python": "never"}
    file.chmod(0o600)
    assert Policy(lambda: file, "/a.ipynb").rule("bash") == "always"


@pytest.mark.parametrize(
    "content",
    [pytest.param("[" * 100_000, id="deep"), "{", "[]", '{"/a.ipynb": 3}', '{"/a.ipynb": {"bash": "yes"}}', "\x00"],
)
def test_a_damaged_file_gives_no_permission(tmp_path: Path, content: str) -> None:
    file = tmp_path / "approvals.json"
    file.write_text(content)
    policy = Policy(lambda: file, "/a.ipynb")
    assert policy.rule("bash") is None
    policy.remember("bash", "ask", scope="notebook")
    assert json.loads(file.read_text()) == {"/a.ipynb": {"bash": "ask"}}


# Pause and resume


async def test_a_run_pauses_for_a_decision_and_goes_on_from_its_messages() -> None:
    tool = Launch()
    both = [call("launch", where="moon"), call("launch", where="mars")]
    agent = Agent(FakeModel(both, "Done."), tools=[tool], approve="pause", namespace={})
    paused = await agent.run("Go")
    assert paused.transcript.outcome == "paused"
    assert tool.ran == []
    # What a file or a caller keeps is enough.
    kept = codec.load_json(tuple[Message, ...], codec.dump_json(paused.messages))
    moon, mars = unanswered(kept)
    done = await agent.resume(kept, {moon.id: True, mars.id: Reply("deny", reason="Too far.")})
    assert tool.ran == [{"where": "moon"}]
    assert done.text == "Done."
    assert [m.role for m in done.messages] == ["user", "assistant", "tool", "assistant"]
    assert given(done.messages)[1].endswith("They said: Too far.")


async def test_calls_that_nobody_decided_about_pause_the_run_again() -> None:
    tool = Launch()
    both = [call("launch", where="moon"), call("launch", where="mars")]
    agent = Agent(FakeModel(both, "Done."), tools=[tool], approve="pause", namespace={})
    paused = await agent.run("Go")
    first, second = unanswered(paused.messages)
    again = await agent.resume(paused, {second.id: True})
    assert tool.ran == [{"where": "mars"}]
    assert unanswered(again.messages) == (first,)
    done = await agent.resume(again, {first.id: "approve"})
    assert given(done.messages) == ["up", "up"]
    assert done.text == "Done."
    assert [m.role for m in done.messages] == ["user", "assistant", "tool", "assistant"]


async def test_a_decision_holds_for_the_call_that_was_seen_and_not_for_a_later_one_of_its_id() -> None:
    tool = Launch()
    seen = call("launch", where="moon")
    paused = await Agent(FakeModel(seen), tools=[tool], approve="pause", namespace={}).run("Go")
    [asked] = unanswered(paused.messages)
    later = replace(call("launch", where="sun"), id=asked.id)
    agent = Agent(FakeModel(later, "Done."), tools=[tool], approve="pause", namespace={})
    again = await agent.resume(paused, {asked.id: True})
    assert tool.ran == [{"where": "moon"}]
    assert again.transcript.outcome == "paused"


async def test_a_decision_that_was_not_needed_is_not_kept_for_later() -> None:
    tool, policy = Launch(), Policy()
    both = [call("launch", where="moon"), call("launch", where="mars")]
    paused = await Agent(FakeModel(both), tools=[tool], approve="pause", namespace={}, policy=policy).run("Go")
    moon, mars = unanswered(paused.messages)
    policy.remember("test-launch", "always")
    other = Launch()
    other.name, other.traits = "other", Traits("test-other", "test", "ask")
    later = replace(call("other", where="sun"), id=mars.id)
    agent = Agent(FakeModel(later), tools=[tool, other], approve="pause", namespace={}, policy=policy)
    await agent.resume(paused, {moon.id: True, mars.id: True})
    assert (len(tool.ran), other.ran) == (2, [])


async def test_what_needs_no_decision_runs_before_a_pause() -> None:
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    both = [call("add", a=1, b=2), MOON]
    agent = Agent(FakeModel(both, "Done."), tools=[Launch(), add], approve="pause", namespace={})
    paused = await agent.run("Go")
    assert given(paused.messages) == ["3"]
    assert [c.name for c in unanswered(paused.messages)] == ["launch"]


async def test_there_must_be_something_to_go_on_with() -> None:
    agent = Agent(FakeModel("Hi."), namespace={})
    result = await agent.run("Hi")
    with pytest.raises(UsageError, match="nothing to go on with"):
        await agent.resume(result)


def test_a_decision_that_is_none_is_named() -> None:
    agent = Agent(FakeModel(), namespace={})
    with pytest.raises(UsageError, match=r"'aprove' decides nothing. Did you mean 'approve'"):
        anyio.run(agent.resume, (), {"1": "aprove"})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Traits("mcp-time-now", "time", origin="python\0-m\0clock"), Traits("mcp-time-now", "time", origin="sh\0evil")),
        (Traits("sandbox-run_code", "sandbox"), Traits("sandbox-run_code", "sandbox", origin="unsafe")),
        (Traits("mcp-a-b-c", "a-b"), Traits("mcp-a-b-c", "a")),
    ],
)
def test_a_rule_for_a_tool_holds_for_no_other_that_took_its_name(one: Traits, other: Traits) -> None:
    policy = Policy()
    policy.remember(one.rule, "always")
    assert policy.rule(one.rule) == "always"
    assert policy.rule(other.rule) is None
