from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from inline_snapshot import snapshot

from agentnb.events import ModelEvent, TextDelta
from agentnb.messages import Audio, Data, File, Image, Message, Text, Thinking, ToolCall, ToolResult, system, user
from agentnb.models.base import Request
from agentnb.models.fake import FakeModel
from agentnb.models.multi_agent import Layout, MultiAgentModel, as_history, several_speak

pytestmark = pytest.mark.anyio


def _by(name: str | None, *content: str | Image | Audio | File, agent: bool = True) -> Message:
    return Message("assistant" if agent else "user", user(*content).content, name=name)


_PICTURE = Image(b"x")
_CALL = Message("assistant", (ToolCall("1", "look", "{}"),), name="Ada")
_RESULT = Message("tool", (ToolResult("1", "look", (Text("there"),)),))


def test_what_was_said_between_calls_is_a_history_with_names() -> None:
    messages = (
        Message("system", (Text("You are Ada."),), name="system"),
        _by("Sam", "Who is there?", agent=False),
        _by("Bob", "I am.", "Really."),
        _CALL,
        _RESULT,
        _by("Ada", "So am I."),
        _by("Bob", "Good."),
    )
    history = as_history(messages)
    assert history[2] is _CALL
    assert history[3] is _RESULT
    assert [(message.role, message.name, message.text) for message in (*history[:2], *history[4:])] == snapshot(
        [
            ("system", None, "You are Ada."),
            (
                "user",
                None,
                """\
# Conversation History
The content between <history></history> tags contains your conversation history
<history>
Sam: Who is there?
Bob: I am.
Bob: Really.
</history>\
""",
            ),
            (
                "user",
                None,
                """\
<history>
Ada: So am I.
Bob: Good.
</history>\
""",
            ),
        ]
    )


def test_whoever_has_no_name_is_called_by_the_role_and_an_agent_by_its_own_name() -> None:
    messages = (_by(None, "Hi", agent=False), _by(None, "Hello"), _by("Bob", "Hey"))
    assert as_history(messages, prompt="")[0].text == "<history>\nuser: Hi\nassistant: Hello\nBob: Hey\n</history>"
    assert "\nAda: Hello\n" in as_history(messages, me="Ada")[0].text


def test_media_stand_where_they_were_said() -> None:
    messages = (_by("A", _PICTURE, "Look", _PICTURE), _by("B", "Nice", "Very", _PICTURE))
    assert as_history(messages, prompt="") == (
        user("<history>\n", _PICTURE, "A: Look", _PICTURE, "B: Nice\nB: Very", _PICTURE, "</history>"),
    )
    assert as_history(messages[:1], prompt="", layout=Layout("<h>", "gap")) == (
        user("<h>", _PICTURE, "", "A: Look", _PICTURE, "", "</history>"),
    )


def test_media_stand_behind_the_words_pictures_first() -> None:
    film, sound = File("f", b"x", "video/mp4"), Audio(b"x")
    messages = (_by("A", film, sound, _PICTURE, "Look", _PICTURE),)
    behind = (_PICTURE, _PICTURE, sound, film)
    after = Layout(media="after")
    assert as_history(messages, prompt="", layout=after) == (user("<history>\nA: Look\n</history>", *behind),)
    assert as_history((_by("A", _PICTURE),), layout=after) == (user(_PICTURE),)


def test_thoughts_are_nobodys_to_read_and_a_history_of_nothing_is_none() -> None:
    thought = Message("assistant", (Thinking("hm"),), name="Ada")
    said = Message("user", (Data({"a": 1}),), name="Sam")
    assert as_history((thought, _CALL, _RESULT, thought, said), prompt="P ") == (
        _CALL,
        _RESULT,
        user('P <history>\nSam: {"a":1}\n</history>'),
    )
    assert as_history(()) == ()


def test_the_first_system_message_alone_stays_apart() -> None:
    first = system("Be brief.")
    history = as_history((first, system("Be kind."), _by("A", "Hi")), prompt="")
    assert history[0] is first
    assert history[1].text == "<history>\nsystem: Be kind.\nA: Hi\n</history>"


@pytest.mark.parametrize(
    ("messages", "me", "several"),
    [
        ((), None, False),
        ((_by(None, "q", agent=False), _by(None, "a")), None, False),
        ((_by("Sam", "q", agent=False), _by("Ada", "a")), None, False),
        ((_by("Sam", "q", agent=False), _by("Kim", "q", agent=False)), None, True),
        ((_by(None, "q", agent=False), _by("Kim", "q", agent=False)), None, True),
        ((_by("Ada", "a"), _by("Bob", "a")), None, True),
        ((_by("Bob", "a"),), "Ada", True),
        ((_by(None, "a"), _by("Ada", "a")), "Ada", False),
    ],
)
def test_several_speak_where_the_roles_do_not_tell_who_it_was(
    messages: tuple[Message, ...], me: str | None, several: bool
) -> None:
    assert several_speak(messages, me=me) is several


async def test_a_model_is_told_who_said_what_and_a_chat_is_left_as_it_is() -> None:
    inner = FakeModel("one", "two")
    model = MultiAgentModel(inner, me="Ada")
    assert model.name == inner.name
    chat = Request((user("Hi"),))
    several = Request((_by("Sam", "Hi", agent=False), _by("Bob", "Hello")), tool_choice="none")
    for request in (chat, several):
        async with aclosing(model.stream(request)) as events:
            assert [event async for event in events]
    assert inner.requests[0] is chat
    assert inner.requests[1].messages == as_history(several.messages, me="Ada")
    assert inner.requests[1].tool_choice == "none"


async def test_closing_its_stream_closes_the_models() -> None:
    closed = []

    class Endless:
        name = "fake:endless"

        async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
            try:
                while True:
                    yield TextDelta("word")
            finally:
                closed.append(request)

    request = Request((user("Hi"),))
    async with aclosing(MultiAgentModel(Endless()).stream(request)) as events:
        await anext(events)
    assert closed == [request]
