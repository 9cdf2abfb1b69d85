"""A session read whole: what is in it, and what is not."""

from __future__ import annotations

import pytest

from agentnb import events
from agentnb.errors import UsageError
from agentnb.exporting import Conversation, file_name, gathered
from agentnb.masking import Mask
from agentnb.messages import Text, user
from agentnb.session import RunHead
from agentnb.store import Store
from tests.store.conftest import feed, turn


def test_turns_have_what_was_written_and_what_was_sent(full: Conversation) -> None:
    first, second = full.turns
    assert (first.prompt, first.sent) == ("What is {{a}} + 40?", "What is 2 + 40?")
    assert [block.type for block in first.media] == ["image"]
    assert (first.number, second.number) == (1, 2)
    assert (second.transcript.outcome, second.transcript.error) == ("error", "The connection broke.")


def test_results_and_runs_within_stand_with_their_calls(full: Conversation) -> None:
    tools = full.turns[0].transcript.tools
    assert [(each.status, len(each.runs)) for each in tools.values()] == [("done", 0), ("error", 1)]
    [within] = tools["c2"].runs
    assert (within.agent, within.model, within.text) == ("scout", "openai:small", "I **looked**.")


def test_a_fork_has_the_turns_of_its_origin(full: Conversation, store: Store) -> None:
    made = store.sessions.fork("s1", 1)
    assert [said.prompt for said in gathered(store, made.id).turns] == ["What is {{a}} + 40?"]
    assert gathered(store, made.id).turns[0].transcript.tools["c2"].runs


def test_turns_that_were_taken_back_are_left_out(full: Conversation, store: Store) -> None:
    store.sessions.revoke("s1", 1)
    assert len(gathered(store, "s1").turns) == 1


def test_a_run_that_goes_on_is_there_as_far_as_it_is_kept(store: Store) -> None:
    feed(store, RunHead("r1", "s1", prompt="hi"), turn("r1", "hi", "hello")[:2])
    store.runs.save_partial("r1", 1, user(Text("hel")))
    [said] = gathered(store, "s1").turns
    assert said.transcript.outcome is None
    assert [message.text for message in said.transcript.messages] == ["hi", "hel"]


def test_secrets_that_are_known_by_now_are_masked(store: Store) -> None:
    stream = turn("r1", "my key is sk-secret-1", "sk-secret-1 it is")
    stream[-1] = events.RunError("sk-secret-1 was refused", "error", run_id="r1")
    feed(store, RunHead("r1", "s1", prompt="my key is sk-secret-1"), stream)
    store.sessions.title("s1", "sk-secret-1")
    said = gathered(store, "s1", Mask("sk-secret-1"))
    assert "secret" not in repr(said)
    assert said.turns[0].prompt == "my key is [key]"


def test_a_session_there_is_not_is_an_error(store: Store) -> None:
    with pytest.raises(UsageError, match="There is no session 'nobody'"):
        gathered(store, "nobody")


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Sums & plots: part 1/2", "Sums-plots-part-1-2.md"),
        ("../../etc/passwd", "etc-passwd.md"),
        ("Größe 大小", "Größe-大小.md"),
        ("x" * 300, "x" * 60 + ".md"),
        ("con", "s1.md"),
        ("***", "s1.md"),
    ],
)
def test_a_files_name_comes_from_the_title(store: Store, title: str, name: str) -> None:
    feed(store, RunHead("r1", "s1", prompt="hi"), turn("r1", "hi", "hello"))
    store.sessions.title("s1", title)
    assert file_name(gathered(store, "s1"), ".md") == name
