"""Messages are kept without secrets and read again, whatever the secrets are and whatever tools give."""

from __future__ import annotations

import json

import pytest

from agentnb.masking import Mask
from agentnb.messages import JSON, Data, File, Image, Message, Text, ToolCall, ToolResult, user
from agentnb.session import RunHead
from agentnb.store import Store
from agentnb.store.memory import MemoryEntry

KEY = "sk-proj-7Hq2Zk9TnW4bXv81"


def masking(store: Store, *secrets: str) -> Store:
    """The same store, which masks these."""
    return Store(store.path.parent, mask=Mask(*secrets))


def kept(store: Store, message: Message) -> Message:
    """A message, kept and read again."""
    store.runs.begin(RunHead("r", "s"), "me", 1.0)
    store.runs.add("r", 0, message, 1.0)
    return store.runs.messages("r")[0]


def result(value: JSON) -> Message:
    return Message("tool", (ToolResult("c", "f", (Data(value),)),))


def value(message: Message) -> JSON:
    match message.content:
        case (ToolResult(content=(Data(value=found),)),):
            return found
    raise AssertionError(message)


@pytest.mark.parametrize("secret", ["content", "message", "assistant", "tool_result"])
def test_a_secret_that_is_a_word_of_our_json_leaves_the_message_readable(store: Store, secret: str) -> None:
    read = kept(masking(store, secret), Message("assistant", (Text(f"it is {secret}"),)))
    assert read == Message("assistant", (Text("it is [key]"),))


def test_a_secret_of_digits_leaves_numbers_as_they_are(store: Store) -> None:
    hidden = masking(store, "123456")
    assert value(kept(hidden, result({"n": 1234567, "pin": "123456"}))) == {"n": 1234567, "pin": "[key]"}
    hidden.runs.begin(RunHead("r2", "s", options={"seed": 1234567}), "me", 2.0)
    assert hidden.runs.list("WHERE id = 'r2'")[0].head.options == {"seed": 1234567}


@pytest.mark.parametrize("padding", [10, 11, 12, 5_000, 5_001, 5_002])
def test_a_secret_in_a_picture_or_a_file_is_taken_out_and_the_rest_stays(store: Store, padding: int) -> None:
    data = b"\x89PNG" + b"x" * padding + KEY.encode() + b"\xff\x00" * padding
    clean = data.replace(KEY.encode(), b"[key]")
    hidden = masking(store, KEY)
    assert kept(hidden, Message("user", (Image(data), File("a.bin", data)))).content == (
        Image(clean),
        File("a.bin", clean),
    )


@pytest.mark.parametrize("secret", ['a"quoted\\secret', "two\nlines-of-it", "pässwörter"])
def test_a_secret_in_the_arguments_of_a_call_is_taken_out(store: Store, secret: str) -> None:
    arguments = json.dumps({"k": secret})
    hidden = masking(store, secret)
    assert kept(hidden, Message("assistant", (ToolCall("c", "f", arguments),))).calls[0].arguments == '{"k": "[key]"}'
    with hidden.database.reading() as db:
        body, text = db.execute("SELECT body, text FROM messages").fetchone()
    assert (json.loads(body)["content"][0]["arguments"], text) == ('{"k": "[key]"}', 'f {"k": "[key]"}')


def test_a_secret_is_not_cut_in_two_where_the_searched_text_ends(store: Store) -> None:
    hidden = masking(store, KEY)
    kept(hidden, user("z" * 99_990 + KEY))
    with hidden.database.reading() as db:
        assert db.execute("SELECT instr(text, 'sk-')  FROM messages").fetchone() == (0,)


@pytest.mark.parametrize(
    "data",
    [
        {"media_type": "text/plain", "data": "+/= and words " * 1_000},
        {"media_type": "text/plain", "data": "a" * 8_001},
        {"type": "image", "data": {"$blob": "0" * 64}},
        {"n": 10**40},
    ],
)
def test_data_of_tools_comes_back_as_it_was_whatever_it_looks_like(store: Store, data: dict[str, JSON]) -> None:
    assert value(kept(store, result(data))) == data


def test_what_is_nested_deeply_is_read_again_or_said_to_be_left_out(store: Store) -> None:
    deep: JSON = []
    for _ in range(300):
        deep = [deep]
    assert value(kept(store, result(deep))) == deep
    for _ in range(3_000):
        deep = [deep]
    assert kept(store, result(deep)).content[0] == ToolResult(
        "c", "f", (Text("(This was nested too deeply to be kept.)"),)
    )


def test_half_characters_are_replaced(store: Store) -> None:
    store.runs.begin(RunHead("r", "s", label="\udcff", prompt="a\udcff", variables={"\udcff": "b"}), "me", 1.0)
    assert kept(store, user("name-\udcff")).text == "name-?"
    assert store.runs.list()[0].head.prompt == "a?"
    assert store.sessions.title("s", "a\udcff") == "a?"
    assert [each.run for each in store.findings.search("name\udcff \0")] == ["r"]


def test_what_a_model_makes_of_a_secret_is_not_kept_either(store: Store) -> None:
    hidden = masking(store, KEY)
    hidden.runs.begin(RunHead("r", "s"), "me", 1.0)
    hidden.memory.summarize("s", f"The key is {KEY}", 1, [MemoryEntry("fact", f"key {KEY}")])
    hidden.memory.edit("s", hidden.memory.entries("s")[0].id, f"the key {KEY}")
    hidden.sessions.title("s", f"About {KEY}", by="model")
    summary = hidden.memory.summary("s")
    assert summary is not None
    assert (summary.text, hidden.memory.entries("s")[0].content) == ("The key is [key]", "the key [key]")
    assert hidden.sessions.get("s").title == "About [key]"
