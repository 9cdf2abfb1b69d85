from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agentnb import messages
from agentnb.errors import RequestRefused, UsageError
from agentnb.models.base import Request
from agentnb.models.http import Http
from agentnb.models.options import Options
from agentnb.transcript import fold
from tests.contract.responses_script import says
from tests.provider import Answer, Asked, document, provider
from tests.remote import remote
from tests.streams import collect

pytestmark = pytest.mark.anyio
ASK = Request((messages.system("Be brief."), messages.user("hi")))


@pytest.mark.parametrize("base", ["", "/v1", "/v1/responses"])
async def test_a_request_goes_to_responses(base: str) -> None:
    http = Http()
    async with provider(Answer([says("Hello")])) as server:
        url = server.url.removesuffix("/v1") + base
        got, error = await collect(remote("m", http=http, base_url=url, dialect="responses"), ASK)
    await http.aclose()
    assert error is None
    assert fold(got).text == "Hello"
    assert [asked.path for asked in server.requests] == ["/v1/responses"]


@pytest.mark.parametrize(
    ("refused", "sent"),
    [
        (["Your organization must be verified to generate reasoning summaries."], [None, True]),
        (["Encrypted content is not supported with this model."], [None, False]),
        (
            [
                "Unsupported parameter: 'reasoning.summary' is not supported with this model.",
                "Encrypted content is not…",
            ],
            [None, False],
        ),
    ],
)
async def test_what_a_model_does_not_show_of_its_thoughts_is_not_asked_for_again(refused: Any, sent: Any) -> None:
    http = Http()
    refusals = [document({"error": {"message": said}}, 400) for said in refused]
    async with provider(*refusals, Answer([says("Hello")])) as server:
        model = remote("m", http=http, base_url=server.url, dialect="responses")
        for _ in range(2):
            assert fold((await collect(model, ASK))[0]).text == "Hello"
    await http.aclose()
    assert len(server.requests) == len(refused) + 2
    last = server.requests[-1].json
    assert [last.get("reasoning"), "include" in last] == sent


async def test_an_effort_that_a_model_refuses_is_not_dropped() -> None:
    http = Http()
    said = "Unsupported value: 'none' is not supported with the 'm' model. Supported values are: 'low' and 'high'."
    async with provider(document({"error": {"message": said}}, 400)) as server:
        model = remote("m", http=http, base_url=server.url, dialect="responses")
        _, error = await collect(model, replace(ASK, options=Options(thinking="off")))
    await http.aclose()
    assert isinstance(error, RequestRefused)
    assert said.rstrip(".") in str(error)
    assert len(server.requests) == 1


async def test_an_option_that_the_dialect_does_not_have_is_refused() -> None:
    http = Http()

    def never(_: Asked) -> Answer:
        raise AssertionError

    async with provider(never) as server:
        model = remote("m", http=http, base_url=server.url, dialect="responses")
        _, error = await collect(model, replace(ASK, options=Options(seed=1)))
    await http.aclose()
    assert isinstance(error, UsageError)
    assert "has no option 'seed'" in str(error)
