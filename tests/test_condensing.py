"""Long sessions are summarized and named by a model, on their own only where one is named for that."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentnb import events
from agentnb.condensing import Condenser
from agentnb.errors import ModelError, UsageError
from agentnb.messages import Usage, user
from agentnb.session import RunHead, Session
from agentnb.store import Store
from tests.store.conftest import feed

pytestmark = pytest.mark.anyio

ANSWER = '<summary>Short.</summary><memory>[{"entry_type":"fact","content":"Cold.","confidence":0.9}]</memory>'


class Scripted:
    """Answers what it was told to, and remembers what it was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str | None]] = []

    async def __call__(self, prompt: str, model: str | None) -> str:
        self.asked.append((prompt, model))
        if not self.answers:
            raise ModelError("It is down.")
        return self.answers.pop(0)


def stored(tmp_path: Path, turns: int, tokens: int = 0) -> tuple[Store, Session]:
    store = Store(tmp_path)
    for number in range(turns):
        run = f"r{number}"
        stream = [
            events.RunStarted("m", run_id=run),
            events.MessageAdded(user(f"p{number}"), run_id=run),
            events.TextDelta(f"a{number}", run_id=run),
            events.Usage(Usage(tokens), run_id=run),
            events.MessageEnd("stop", run_id=run),
            events.RunFinished("done", Usage(tokens), run_id=run),
        ]
        folder = feed(store, RunHead(run, "s1", cell=run), stream)
        assert folder
    return store, store.session("s1")


async def test_a_summary_and_what_is_worth_keeping_take_the_place_of_the_first_turns(tmp_path: Path) -> None:
    store, session = stored(tmp_path, 12)
    infer = Scripted(ANSWER)
    condenser = Condenser(lambda: store, infer, {})
    made = await condenser.summarize(session)
    assert (made.version, made.upto, made.text) == (1, 2, "Short.")
    sent = [message.text for message in condenser.history(session)]
    assert sent[:3] == ["## Summary\nShort.", "## Memory\nfact: Cold.", "p2"]
    assert len(infer.asked) == 1
    assert infer.asked[0][1] is None


async def test_a_cell_of_what_was_summarized_builds_on_what_was_said_before_it(tmp_path: Path) -> None:
    store, session = stored(tmp_path, 12)
    condenser = Condenser(lambda: store, Scripted(ANSWER), {})
    await condenser.summarize(session)
    assert [message.text for message in condenser.history(session, "r1")] == ["p0", "a0"]


async def test_a_model_that_fails_changes_nothing(tmp_path: Path) -> None:
    store, session = stored(tmp_path, 12)
    with pytest.raises(ModelError):
        await Condenser(lambda: store, Scripted(), {}).summarize(session)
    with pytest.raises(UsageError, match="gave no summary"):
        await Condenser(lambda: store, Scripted(" "), {}).summarize(session)
    assert store.memory.summary("s1") is None


async def test_what_is_summarized_already_is_not_again(tmp_path: Path) -> None:
    store, session = stored(tmp_path, 12)
    condenser = Condenser(lambda: store, Scripted(ANSWER, ANSWER), {})
    await condenser.summarize(session)
    with pytest.raises(UsageError, match="nothing new to summarize"):
        await condenser.summarize(session)


@pytest.mark.parametrize(
    "names", [("AGENTNB_SUMMARY_MODEL", "AGENTNB_CONTEXT_TOKENS"), ("SUMMARY_MODEL_ID", "MAX_TOKENS_IN_CONTEXT")]
)
async def test_it_works_on_its_own_past_the_threshold_where_a_model_is_named(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    store, session = stored(tmp_path, 12, tokens=500)
    environ: dict[str, str] = {}
    infer = Scripted(ANSWER)
    condenser = Condenser(lambda: store, infer, environ)
    await condenser.tend(session)
    environ[names[0]] = "openai:small"
    await condenser.tend(session)
    environ[names[1]] = "500"
    await condenser.tend(session)
    assert not infer.asked
    environ[names[1]] = "499"
    await condenser.tend(session)
    assert [model for _, model in infer.asked] == ["openai:small"]
    assert store.memory.summary("s1") is not None


async def test_a_long_session_is_named_unless_a_person_did(tmp_path: Path) -> None:
    store, session = stored(tmp_path, 2, tokens=10_001)
    condenser = Condenser(lambda: store, Scripted("Penguins"), {"SUMMARY_MODEL_ID": "m"})
    await condenser.tend(session)
    assert store.sessions.get("s1").title == "Penguins"
    store.sessions.title("s1", "Mine")
    await condenser.tend(session)
    assert store.sessions.get("s1").title == "Mine"


async def test_memories_can_be_edited_and_forgotten(tmp_path: Path) -> None:
    store, session = stored(tmp_path, 12)
    await Condenser(lambda: store, Scripted(ANSWER), {}).summarize(session)
    (entry,) = store.memory.entries("s1")
    store.memory.edit("s1", entry.id, "Very cold.")
    assert store.memory.entries("s1")[0].content == "Very cold."
    store.memory.remove("s1", entry.id)
    assert not store.memory.entries("s1")
    with pytest.raises(UsageError, match="has no memory"):
        store.memory.remove("s1", entry.id)
    assert store.memory.edit_summary("s1", "Else.").version == 2


async def test_where_a_model_reads_little_memories_go_first_and_then_the_summary(tmp_path: Path) -> None:
    store, session = stored(tmp_path, 12)
    condenser = Condenser(lambda: store, Scripted(ANSWER), {})
    await condenser.summarize(session)
    whole = [message.text for message in condenser.history(session)]
    assert whole[:2] == ["## Summary\nShort.", "## Memory\nfact: Cold."]
    least = sum(map(len, whole)) // 4
    assert [message.text for message in condenser.history(session, budget=least - 1)] == [whole[0], *whole[2:]]
    assert [message.text for message in condenser.history(session, budget=1)] == whole[2:]
