"""A key and what it opens."""

from __future__ import annotations

import anyio
import pytest

from agentnb import Agent, Credential
from agentnb.errors import CredentialError, UsageError
from tests.provider import document, provider, says

pytestmark = pytest.mark.anyio
KEY = "sk-secret-of-a-person-1"


async def test_one_credential_lists_the_models_and_opens_one() -> None:
    listed = document({"data": [{"id": "gpt-4o"}, {"id": "new-one"}]})
    with anyio.fail_after(5):
        async with provider(lambda asked: says("hello") if asked.body else listed) as server:
            credential = Credential("openai", KEY, base_url=server.url, environ={})
            cards = await credential.list_models()
            answer = await Agent(credential.model("new-one")).run("hi")
    assert [card.name for card in cards[:2]] == ["openai:gpt-4o", "openai:new-one"]
    assert cards[0].context == 128_000
    assert answer.text == "hello"
    assert {asked.headers["authorization"] for asked in server.requests} == {f"Bearer {KEY}"}
    assert KEY not in repr(credential) + repr(vars(credential))


async def test_a_key_may_come_from_the_environment() -> None:
    with anyio.fail_after(5):
        async with provider(document({"data": []})) as server:
            environ = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url}
            await Credential("openai", environ=environ).list_models()
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_other_types_are_made_of_their_parts() -> None:
    with anyio.fail_after(5):
        async with provider(document({"data": []})) as server:
            basic = Credential("openai", type="basic", user="ann", password=KEY, base_url=server.url, environ={})
            await basic.list_models()
            jwt = Credential("openai", "a.token", type="jwt", base_url=server.url, environ={})
            await jwt.list_models()
    assert [asked.headers["authorization"].split()[0] for asked in server.requests] == ["Basic", "Bearer"]
    assert server.requests[1].headers["authorization"] == "Bearer a.token"


def test_what_cannot_be_a_credential_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="Did you mean 'openai'"):
        Credential("opnai", KEY)
    with pytest.raises(CredentialError, match="OPENAI_API_KEY is not set"):
        Credential("openai", environ={})
    with pytest.raises(UsageError, match="'basic' needs its parts"):
        Credential("openai", type="basic", environ={"OPENAI_API_KEY": KEY})


async def test_a_refused_key_is_not_repeated() -> None:
    with anyio.fail_after(5):
        async with provider(document({"error": {"message": f"Bad key {KEY}"}}, 401)) as server:
            with pytest.raises(CredentialError) as caught:
                await Credential("openai", KEY, base_url=server.url, environ={}).list_models()
    assert KEY not in str(caught.value)
