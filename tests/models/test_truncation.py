from __future__ import annotations

import random

import pytest

from agentnb.conversation import answered
from agentnb.errors import UsageError
from agentnb.messages import Block, Message, Text, ToolCall, ToolResult, ToolSpec, assistant, system, user
from agentnb.models.base import OutputSpec, Request
from agentnb.models.truncation import fit, truncate
from agentnb.tokens import count_tokens

_WORD = "word" * 10  # ten tokens


def _tool(*ids: str) -> Message:
    return Message("tool", tuple(ToolResult(i, "f", (Text(_WORD),)) for i in ids))


def _calls(*ids: str) -> Message:
    return assistant(*(ToolCall(i, "f", '{"a": 1}') for i in ids), finish="tool_calls")


def test_what_fits_is_the_same_tuple() -> None:
    messages = (system(_WORD), user(_WORD), assistant(_WORD))
    assert truncate(messages, 30) is messages
    assert truncate(messages, None) is messages
    assert truncate((), 0) == ()


def test_the_oldest_turns_go_first_and_the_system_message_stays() -> None:
    messages = (system(_WORD), user("a" * 40), assistant(_WORD), user("b" * 40), assistant(_WORD), user("c" * 40))
    assert truncate(messages, 50) == (messages[0], *messages[3:])
    assert truncate(messages, 40) == (messages[0], *messages[3:])
    assert truncate(messages, 39) == (messages[0], messages[5])
    kept = truncate(messages, 45)
    assert all(any(message is known for known in messages) for message in kept)


def test_a_call_goes_with_its_results_even_when_they_come_apart() -> None:
    loop = (_calls("1", "2"), _tool("2"), user("meanwhile"), _tool("1"), assistant(_WORD))
    messages = (user(_WORD), *loop, user(_WORD))
    assert truncate(messages, 20) == (messages[-1],)
    again = (user(_WORD), assistant(_WORD), user(_WORD), *loop)
    assert truncate(again, count_tokens(again) - 1) == again[2:]


def test_ids_that_a_server_gives_again_in_every_round_part_no_call_from_its_results() -> None:
    messages = (user("a"), _calls("0"), _tool("0"), user("b"), _calls("0"), _tool("0"), assistant("c"))
    assert truncate(messages, count_tokens(messages) - 1) == messages[3:]


def test_what_follows_the_last_question_is_kept_whole() -> None:
    loop = tuple(message for i in range(20) for message in (_calls(str(i)), _tool(str(i))))
    messages = (user(_WORD), assistant(_WORD), user(_WORD), *loop)
    assert truncate(messages, count_tokens(messages) - 1) == messages[2:]


def test_a_paused_last_turn_is_kept_with_its_open_calls() -> None:
    messages = (user(_WORD), assistant(_WORD), user(_WORD), _calls("1"))
    assert truncate(messages, 20) == messages[2:]


def test_a_greeting_before_the_first_question_goes_first() -> None:
    messages = (system(_WORD), assistant(_WORD), user(_WORD), assistant(_WORD))
    assert truncate(messages, 30) == (messages[0], *messages[2:])


def test_a_conversation_without_a_question_is_cut_between_rounds() -> None:
    messages = (_tool("0"), _calls("1"), _tool("1"), _calls("2"), _tool("2"))
    assert truncate(messages, count_tokens(messages[3:])) == messages[3:]


def test_a_question_between_a_call_and_its_results_is_never_lost() -> None:
    messages = (assistant(_WORD), _calls("1"), user("wait"), _tool("1"), assistant(_WORD))
    assert truncate(messages, count_tokens(messages) - 1) == messages[1:]


def test_what_cannot_fit_says_how_large_it_is_and_what_to_do() -> None:
    messages = (system(_WORD), user(_WORD), assistant(_WORD), user("x" * 8000))
    with pytest.raises(UsageError) as raised:
        truncate(messages, 1500)
    assert str(raised.value) == (
        "The system message (10 tokens) and the last question with what followed it (2,000 tokens) do not fit into the "
        "1,500 tokens there is room for. Shorten them, leave less room for the answer, or take a model with a larger "
        "context."
    )
    with pytest.raises(
        UsageError, match=r"The last question with what followed it \(10 tokens\) do not fit into the 0 "
    ):
        truncate((user(_WORD),), -5)
    with pytest.raises(UsageError, match=r"The system message"):
        truncate((system(_WORD),), 5)


def test_a_call_without_a_result_before_the_last_question_is_named() -> None:
    messages = (user(_WORD), _calls("1"), user(_WORD))
    assert truncate(messages, 100) is messages
    with pytest.raises(UsageError) as raised:
        truncate(messages, 15)
    assert str(raised.value) == (
        "The conversation has to be shortened, but f was called and gave no result. "
        "Complete the messages with agentnb.transcript.answered."
    )
    assert truncate(answered(messages), 15) == messages[2:]


def test_each_message_is_counted_once() -> None:
    messages = tuple(user(str(i)) for i in range(10_000))
    counted: list[object] = []

    def count(what: object) -> int:
        counted.append(what)
        return 1

    assert truncate(messages, 500, count=count) == messages[-500:]
    assert len(counted) == len(messages)


def _conversation(rng: random.Random) -> tuple[Message, ...]:
    out = [system("s" * rng.randrange(80)) for _ in range(rng.choice([0, 1, 1, 2]))]
    asked = 0
    for _ in range(rng.randrange(1, 9)):
        if rng.random() < 0.9:
            out.append(user("q" * rng.randrange(200)))
        for _ in range(rng.randrange(4)):
            ids = [f"c{(asked := asked + 1)}" if rng.random() < 0.8 else "again" for _ in range(rng.randrange(1, 4))]
            ids = [*dict.fromkeys(ids)]
            out.append(_calls(*ids))
            cut = rng.randrange(len(ids) + 1)
            out += [_tool(*some) for some in (ids[:cut], ids[cut:]) if some]
            if cut and cut < len(ids) and rng.random() < 0.3:
                out.insert(-1, user("meanwhile"))
        if rng.random() < 0.8:
            out.append(assistant("a" * rng.randrange(300)))
    return tuple(out)


def _blocks(messages: tuple[Message, ...]) -> list[Block]:
    return [block for message in messages for block in message.content]


def test_what_holds_of_a_shortened_conversation_holds_of_thousands() -> None:
    rng = random.Random(20)
    shortened = refused = 0
    for _ in range(4000):
        messages = _conversation(rng)
        limit = rng.randrange(count_tokens(messages) + 20)
        try:
            kept = truncate(messages, limit)
        except UsageError:
            refused += 1
            continue
        shortened += kept is not messages
        _check(messages, kept, limit)
    assert shortened > 1000
    assert refused > 100


def _check(messages: tuple[Message, ...], kept: tuple[Message, ...], limit: int) -> None:
    head = next((at for at, message in enumerate(messages) if message.role != "system"), len(messages))
    tail = kept[head:]
    assert count_tokens(kept) <= limit
    assert all(a is b for a, b in zip(kept[:head], messages[:head], strict=True))
    assert all(a is b for a, b in zip(tail, messages[len(messages) - len(tail) :], strict=True))
    assert truncate(kept, limit) is kept
    last = max((at for at, message in enumerate(messages) if message.role == "user"), default=None)
    assert last is None or len(messages) - len(tail) <= last
    if kept is not messages and any(message.role == "user" for message in tail):
        first = tail[0]
        assert first.role == "user" or not _could_begin_at_a_question(messages, head)
    asked = [block.id for block in _blocks(tail) if isinstance(block, ToolCall)]
    given = [block.call_id for block in _blocks(tail) if isinstance(block, ToolResult)]
    assert sorted(asked) == sorted(given)


def _could_begin_at_a_question(messages: tuple[Message, ...], head: int) -> bool:
    return any(message.role == "user" and message.text != "meanwhile" for message in messages[head:])


def test_a_request_is_fitted_with_room_for_the_answer_and_its_tools() -> None:
    spec = ToolSpec("f", "x" * 38, {})  # 11 tokens
    messages = (user("a" * 40), assistant(_WORD), user("b" * 40), assistant(_WORD), user("c" * 40))
    request = Request(messages, tools=(spec,))
    assert fit(request, None) is request
    assert fit(request, 100) is request
    assert fit(request, 50, output=0).messages == messages[2:]
    assert fit(request, 80).messages == messages[2:]
    assert fit(request, 61, output=0) is request
    assert fit(request, 60, output=0).messages == messages[2:]
    schema = OutputSpec("city", {"type": "object"})
    assert fit(Request(messages, (spec,), output=schema), 61, output=0).messages == messages[2:]
    with pytest.raises(UsageError, match="larger context"):
        fit(request, 20)
