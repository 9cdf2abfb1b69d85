"""What a kernel keeps is there for the next one, whole and in order."""

from __future__ import annotations

import pytest

from agentnb import events
from agentnb.errors import UsageError
from agentnb.messages import Image, Message, Text, ToolResult, Usage, user
from agentnb.session import RunHead
from agentnb.store import Store
from tests.store.conftest import Say, feed


def texts(store: Store, session: str) -> list[str]:
    return [message.text for message in store.session(session).history()]


def test_what_was_said_is_there_for_another_kernel(store: Store, say: Say) -> None:
    say("s1", "r1", "hi", "hello")
    say("s1", "r2", "again", "yes")
    other = Store(store.path.parent)
    assert texts(other, "s1") == ["hi", "hello", "again", "yes"]
    assert other.sessions.get("s1").turns == 2
    other.close()


def test_a_cell_that_runs_again_replaces_its_turn_where_it_stood(store: Store, say: Say) -> None:
    say("s1", "r1", "one", "1", cell="a")
    say("s1", "r2", "two", "2", cell="b")
    say("s1", "r3", "one again", "1!", cell="a")
    assert texts(store, "s1") == ["one again", "1!", "two", "2"]
    assert [message.text for message in store.session("s1").history("b")] == ["one again", "1!"]


def test_a_fork_shares_what_came_before_and_goes_its_own_way(store: Store, say: Say) -> None:
    for number in range(3):
        say("s1", f"r{number}", f"p{number}", f"a{number}")
    fork = store.sessions.fork("s1", 2)
    say(fork.id, "r9", "other", "way")
    assert texts(store, fork.id) == ["p0", "a0", "p1", "a1", "other", "way"]
    assert texts(store, "s1") == ["p0", "a0", "p1", "a1", "p2", "a2"]
    assert fork.forked_from == "s1"


def test_turns_that_were_taken_back_can_be_brought_again(store: Store, say: Say) -> None:
    for number in range(3):
        say("s1", f"r{number}", f"p{number}", f"a{number}")
    assert store.sessions.revoke("s1", 1) == 2
    assert texts(store, "s1") == ["p0", "a0"]
    assert store.sessions.unrevoke("s1") == 2
    assert texts(store, "s1") == ["p0", "a0", "p1", "a1", "p2", "a2"]


def test_a_turn_after_a_revoke_stands_behind_what_was_kept(store: Store, say: Say) -> None:
    say("s1", "r1", "p1", "a1")
    say("s1", "r2", "p2", "a2")
    store.sessions.revoke("s1", 1)
    say("s1", "r3", "p3", "a3")
    assert texts(store, "s1") == ["p1", "a1", "p3", "a3"]


def test_a_removed_session_says_how_it_comes_back(store: Store, say: Say) -> None:
    say("s1", "r1", "hi", "hello")
    store.sessions.remove("s1")
    assert not store.sessions.list()
    with pytest.raises(UsageError, match=r"was removed. %session restore s1"):
        store.session("s1")
    store.sessions.restore("s1")
    assert texts(store, "s1") == ["hi", "hello"]


def test_what_was_removed_long_ago_is_forgotten_but_for_what_a_fork_has(store: Store, say: Say) -> None:
    say("s1", "r1", "hi", "hello")
    say("s1", "r2", "bye", "so long")
    fork = store.sessions.fork("s1", 1)
    store.sessions.remove("s1")
    store.sessions.purge(2e12)
    assert not store.sessions.known("s1")
    assert texts(store, fork.id) == ["hi", "hello"]
    assert store.runs.get("r2") is None


@pytest.mark.parametrize("bad", ["../x", "a/b", "a\\b", "..", "", " ", "a..b", "x" * 100, "a\0b"])
def test_an_id_that_is_a_path_is_no_session(store: Store, bad: str) -> None:
    with pytest.raises(UsageError, match="session"):
        store.session(bad)


def test_a_session_is_found_by_how_its_id_begins(store: Store, say: Say) -> None:
    say("abc1", "r1", "hi", "hello")
    say("abd1", "r2", "hi", "hello")
    assert store.session("abc").id == "abc1"
    with pytest.raises(UsageError, match="Several sessions begin with 'ab'"):
        store.session("ab")


def test_pictures_are_kept_once_and_come_back_whole(store: Store) -> None:
    picture = Image(bytes(range(256)) * 100, "image/png")
    message = Message("user", (Text("look"), picture))
    for run in ("r1", "r2"):
        stream = [
            events.RunStarted("m", run_id=run),
            events.MessageAdded(message, run_id=run),
            events.TextDelta("ok", run_id=run),
            events.MessageEnd("stop", run_id=run),
        ]
        feed(store, RunHead(run, "s1"), stream)
    assert store.runs.messages("r2")[0] == message
    with store.database.reading() as db:
        assert db.execute("SELECT count(*) FROM blobs").fetchone() == (1,)


def test_secrets_are_not_written(store: Store) -> None:
    masked = Store(store.path.parent, mask=lambda text: text.replace("sk-secret-1", "[key]"))
    stream = [
        events.RunStarted("m", run_id="r1"),
        events.MessageAdded(user("my key is sk-secret-1"), run_id="r1"),
        events.ToolResult(ToolResult("c", "f", (Text("sk-secret-1"),)), run_id="r1"),
        events.RunError("it was sk-secret-1", "X", run_id="r1"),
    ]
    feed(masked, RunHead("r1", "s1", prompt="sk-secret-1"), stream)
    masked.close()
    assert b"sk-secret-1" not in store.path.read_bytes()
    assert store.runs.messages("r1")[0].text == "my key is [key]"


def test_results_are_kept_before_the_last_of_them_is_there(store: Store) -> None:
    stream = [
        events.RunStarted("m", run_id="r1"),
        events.MessageAdded(user("go"), run_id="r1"),
        events.ToolCallStart("c1", "f", run_id="r1"),
        events.ToolCallEnd("c1", run_id="r1"),
        events.ToolCallStart("c2", "f", run_id="r1"),
        events.ToolCallEnd("c2", run_id="r1"),
        events.MessageEnd("tool_calls", run_id="r1"),
        events.ToolResult(ToolResult("c1", "f", (Text("one"),)), run_id="r1"),
    ]
    feed(store, RunHead("r1", "s1"), stream)
    assert [message.role for message in store.runs.messages("r1")] == ["user", "assistant", "tool"]
    assert isinstance(result := store.runs.messages("r1")[2].content[0], ToolResult)
    assert result.text == "one"


def test_a_message_that_a_hook_changed_is_kept_changed(store: Store) -> None:
    stream = [
        events.RunStarted("m", run_id="r1"),
        events.MessageAdded(user("go"), run_id="r1"),
        events.TextDelta("bad", run_id="r1"),
        events.MessageEnd("stop", run_id="r1"),
        events.MessageChanged(Message("assistant", (Text("good"),), finish="stop"), run_id="r1"),
    ]
    feed(store, RunHead("r1", "s1"), stream)
    assert store.runs.messages("r1")[-1].text == "good"


def test_runs_within_a_run_are_kept_with_the_call_that_they_answer(store: Store) -> None:
    stream = [
        events.RunStarted("m", run_id="r1"),
        events.MessageAdded(user("go"), run_id="r1"),
        events.ToolCallStart("c1", "delegate", run_id="r1"),
        events.ToolCallEnd("c1", run_id="r1"),
        events.MessageEnd("tool_calls", run_id="r1"),
        events.RunStarted("m2", "helper", "c1", 1, run_id="r2", parent_id="r1"),
        events.MessageAdded(user("sub"), run_id="r2", parent_id="r1"),
        events.TextDelta("done", run_id="r2", parent_id="r1"),
        events.MessageEnd("stop", run_id="r2", parent_id="r1"),
        events.RunFinished("done", Usage(), run_id="r2", parent_id="r1"),
    ]
    feed(store, RunHead("r1", "s1"), stream)
    (within,) = store.runs.within("r1")
    assert (within.head.call, within.head.agent, within.head.prompt, within.outcome) == ("c1", "helper", "sub", "done")
    assert [message.text for message in store.runs.messages("r2")] == ["sub", "done"]
    assert store.sessions.get("s1").turns == 1


def test_a_run_of_a_kernel_that_was_killed_ends_as_interrupted(store: Store) -> None:
    stream = [events.RunStarted("m", run_id="r1"), events.MessageAdded(user("go"), run_id="r1")]
    feed(store, RunHead("r1", "s1"), stream)
    store.runs.save_partial("r1", 1, Message("assistant", (Text("half an ans"),)))
    assert store.sessions.get("s1").status == "streaming"
    store.owners.leave()
    other = Store(store.path.parent)
    assert other.settle() == 1
    assert other.sessions.get("s1").status == "error_unread"
    assert other.session("s1").history()[-1] == Message("assistant", (Text("half an ans"),), finish="interrupted")
    assert other.settle() == 0
    other.close()


def test_a_session_says_whether_something_in_it_is_unread(store: Store, say: Say) -> None:
    say("s1", "r1", "hi", "hello")
    assert store.sessions.get("s1").status == "done_unread"
    store.sessions.read("s1")
    assert store.sessions.get("s1").status == "idle"


def test_search_finds_words_in_sessions_as_they_are_now(store: Store, say: Say) -> None:
    say("s1", "r1", "What do penguins weigh?", "Gentoo penguins weigh 5 kg.", cell="a")
    say("s1", "r2", "数据分析怎么做", "用表格")
    found = store.findings.search("gentoo weigh")
    assert [(each.role, each.session, each.turn) for each in found] == [("assistant", "s1", 0)]
    assert "\x02Gentoo\x03" in found[0].excerpt
    assert store.findings.search("pengu*")
    assert [each.role for each in store.findings.search("数据")] == ["user"]
    assert not store.findings.search("walrus")
    assert store.findings.search('NEAR( OR "AND') == []
    say("s1", "r3", "Something else", "Yes.", cell="a")
    assert not store.findings.search("gentoo")
    with pytest.raises(UsageError, match="Say what to look for"):
        store.findings.search("***")


def test_a_summary_goes_and_comes_with_its_turns(store: Store, say: Say) -> None:
    for number in range(4):
        say("s1", f"r{number}", f"p{number}", f"a{number}")
    store.memory.summarize("s1", "of the first", 1)
    store.memory.summarize("s1", "of three", 3)
    store.sessions.revoke("s1", 2)
    kept = store.memory.summary("s1")
    assert kept is not None
    assert (kept.version, kept.text) == (1, "of the first")
    store.sessions.unrevoke("s1")
    again = store.memory.summary("s1")
    assert again is not None
    assert (again.version, again.text) == (2, "of three")
    store.sessions.revoke("s1", 2)
    assert store.memory.summarize("s1", "anew", 1).version == 3


def test_a_cell_that_ran_again_after_a_revoke_keeps_its_new_turn(store: Store, say: Say) -> None:
    say("s1", "r1", "one", "1", cell="a")
    say("s1", "r2", "two", "2", cell="b")
    say("s1", "r3", "three", "3", cell="c")
    store.sessions.revoke("s1", 1)
    say("s1", "r4", "two again", "2!", cell="b")
    assert store.sessions.unrevoke("s1") == 1
    assert texts(store, "s1") == ["one", "1", "three", "3", "two again", "2!"]
    assert store.sessions.unrevoke("s1") == 0
