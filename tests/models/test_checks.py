from __future__ import annotations

import pytest

from agentnb import events, messages
from agentnb.errors import RequestRefused, StreamBroken, ToolError, UsageError
from agentnb.messages import Image, Message, ToolResult
from agentnb.models.base import Request
from agentnb.models.checks import CheckModel, secrets_check
from agentnb.models.fake import FakeModel, call
from agentnb.transcript import fold
from tests.streams import collect

pytestmark = pytest.mark.anyio
ASK = Request((messages.user("hi"),))
KEY = "sk-proj-" + "a1B2" * 8


async def test_a_request_that_a_check_refuses_is_not_sent() -> None:
    fake = FakeModel("Hello")
    _, error = await collect(CheckModel(fake, request=lambda _: "it asks for\nsecrets."), ASK)
    assert isinstance(error, RequestRefused)
    assert str(error) == (
        "A check refused the request to fake:script, nothing was sent: it asks for secrets. Change the prompt."
    )
    assert (error.code, error.retryable) == ("content_filter", False)
    assert fake.requests == []


async def test_a_check_may_be_async_and_refuse_by_raising() -> None:
    async def check(_: Request) -> None:
        raise ValueError("no")

    async def stop(_text: str, _message: Message) -> str | None:
        raise ValueError

    _, error = await collect(CheckModel(FakeModel("Hello"), request=check), ASK)
    assert isinstance(error, RequestRefused)
    _, error = await collect(CheckModel(FakeModel("Hello"), response=stop), ASK)
    assert "fake:script: no reason given." in str(error)


async def test_a_mistake_in_a_check_sends_nothing_and_is_not_hidden() -> None:
    fake = FakeModel("Hello")

    def check(_: Request) -> None:
        raise ZeroDivisionError

    def ours(_: Request) -> None:
        raise ToolError("ours")

    with pytest.raises(ZeroDivisionError):
        await collect(CheckModel(fake, request=check), ASK)
    _, error = await collect(CheckModel(fake, request=ours), ASK)
    assert isinstance(error, ToolError)
    assert fake.requests == []


async def test_a_check_may_change_the_request() -> None:
    fake = FakeModel("Hello")
    other = Request((messages.user("hello"),))
    await collect(CheckModel(fake, request=lambda _: other), ASK)
    assert fake.requests == [other]


async def test_what_passes_is_unchanged() -> None:
    def fine(_text: str, _message: Message) -> None: ...

    plain = await collect(FakeModel(["Hello you", call("add", x=1)]), ASK)
    for every in (None, 1, 4, 100):
        checked = CheckModel(FakeModel(["Hello you", call("add", x=1)]), response=fine, every=every)
        assert await collect(checked, ASK) == plain
        assert checked.name == "fake:script"


async def test_an_answer_is_stopped_at_its_end_with_what_was_shown() -> None:
    seen: list[tuple[str, Message]] = []

    def check(text: str, message: Message) -> str | None:
        seen.append((text, message))
        return "it is rude"

    got, error = await collect(CheckModel(FakeModel(["Go away.", call("add", x=1)]), response=check), ASK)
    assert isinstance(error, StreamBroken)
    assert str(error) == "A check stopped the answer of fake:script: it is rude. Change the prompt."
    assert (error.code, error.retryable) == ("content_filter", False)
    assert fold(got).text == "Go away."
    assert not any(isinstance(event, events.MessageEnd) for event in got)
    ((text, message),) = seen
    assert text == "Go away."
    assert [each.name for each in message.calls] == ["add"]


async def test_with_every_nothing_is_shown_before_it_was_checked() -> None:
    seen: list[str] = []

    def check(text: str, _: Message) -> str | None:
        seen.append(text)
        return "rude" if "go" in text else None

    model = CheckModel(FakeModel("Well, then go away.", "Fine.", chunk=4), response=check, every=8)
    got, error = await collect(model, ASK)
    assert fold(got).text == "Well, th"
    assert isinstance(error, StreamBroken)
    assert seen == ["Well, th", "Well, then go aw"]
    got, _ = await collect(model, ASK)
    assert fold(got).text == "Fine."


async def test_keys_do_not_go_to_the_model() -> None:
    fake = FakeModel("Hello", "Hello")
    model = CheckModel(fake, request=secrets_check())
    result = ToolResult("1", "env", (messages.Text(f"KEY={KEY}"), Image(b"png")))
    asked = Request((messages.system("Be brief."), messages.user(f"It is {KEY}."), Message("tool", (result,))))
    await collect(model, asked)
    sent = fake.requests[0].messages
    assert sent[0] is asked.messages[0]
    assert sent[1].text == "It is [key]."
    assert sent[2].content == (ToolResult("1", "env", (messages.Text("KEY=[key]"), Image(b"png"))),)
    await collect(model, ASK)
    assert fake.requests[1] is ASK


def test_an_answer_is_checked_each_so_many_characters() -> None:
    with pytest.raises(UsageError, match="each 1 or more"):
        CheckModel(FakeModel(), every=0)


def test_a_key_in_data_and_in_arguments_does_not_go_to_the_model_either() -> None:
    called = messages.assistant(messages.ToolCall("1", "login", '{"key":"' + KEY + '"}'))
    gave = Message("tool", (ToolResult("1", "login", (messages.Data({"token": [KEY]}),)),))
    changed = secrets_check()(Request((called, gave)))
    assert changed is not None
    assert changed.messages[0].calls[0].arguments == '{"key":"[key]"}'
    assert changed.messages[1].content == (ToolResult("1", "login", (messages.Data({"token": ["[key]"]}),)),)
