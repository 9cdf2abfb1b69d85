from __future__ import annotations

import pytest

from agentnb import events, messages
from agentnb.errors import (
    AgentnbError,
    ConnectionFailed,
    CredentialError,
    MissingExtra,
    RequestRefused,
    RunInterrupted,
    StreamBroken,
    UsageError,
)
from agentnb.models.base import Request
from agentnb.models.fake import FakeModel
from agentnb.models.fallback import FallbackModel
from agentnb.transcript import fold
from tests.streams import collect

pytestmark = pytest.mark.anyio
ASK = Request((messages.user("hi"),))


@pytest.mark.parametrize(
    "error",
    [
        ConnectionFailed("Nothing there.", retryable=True),
        RequestRefused("Busy.", status=429, retryable=True),
        CredentialError("No key for 'a'. Set A_KEY."),
        UsageError("fake:first has no option 'seed'."),
        MissingExtra("local models", "local"),
    ],
)
async def test_another_model_is_asked_where_one_fails_and_that_is_said(error: AgentnbError) -> None:
    model = FallbackModel(FakeModel(error, name="fake:first"), FakeModel("Hello", name="fake:second"))
    got, raised = await collect(model, ASK)
    assert raised is None
    assert fold(got).text == "Hello"
    assert got[0] == events.Waiting(f"{str(error).removesuffix('.')}. Asking fake:second instead.")
    assert isinstance(got[-1], events.MessageEnd)
    assert (model.name, got[-1].model) == ("fake:first", "fake:second")


async def test_the_first_that_answers_ends_it() -> None:
    last = FakeModel("Nobody asks me.")
    got, _ = await collect(FallbackModel(FakeModel(UsageError("No.")), FakeModel("Two"), last), ASK)
    assert fold(got).text == "Two"
    assert last.requests == []


async def test_after_the_first_token_the_error_is_raised_as_it_is() -> None:
    broken, other = StreamBroken("Gone.", retryable=True), FakeModel("Hello")
    got, error = await collect(FallbackModel(FakeModel(["Hel", broken]), other), ASK)
    assert error is broken
    assert fold(got).text == "Hel"
    assert other.requests == []


async def test_when_all_fail_the_last_error_says_what_the_others_said() -> None:
    last = RequestRefused("Too busy.", status=429, code="busy", retryable=True, retry_after=3.0)
    first = FakeModel(CredentialError("No key."), name="fake:first")
    _, error = await collect(FallbackModel(first, FakeModel(last, name="fake:last")), ASK)
    assert type(error) is RequestRefused
    assert str(error) == "Too busy. Asked before: fake:first: No key."
    assert (error.status, error.code, error.retryable, error.retry_after) == (429, "busy", True, 3.0)
    assert error.__cause__ is last
    assert str(last) == "Too busy."


async def test_what_many_said_is_cut() -> None:
    models = [FakeModel(UsageError("long " * 400)) for _ in range(9)]
    _, error = await collect(FallbackModel(*models, FakeModel(MissingExtra("It", "extra"))), ASK)
    assert type(error) is UsageError
    assert len(str(error)) == 1000
    assert "\n" not in str(error)


async def test_one_alone_says_what_it_says() -> None:
    _, error = await collect(FallbackModel(FakeModel(UsageError("No."))), ASK)
    assert str(error) == "No."


async def test_who_stops_the_run_stops_it() -> None:
    other = FakeModel("Hello")
    _, error = await collect(FallbackModel(FakeModel(RunInterrupted("Stopped.")), other), ASK)
    assert isinstance(error, RunInterrupted)
    assert other.requests == []
