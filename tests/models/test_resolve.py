from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agentnb import messages
from agentnb.errors import CredentialError, UsageError
from agentnb.models.base import Request
from agentnb.models.fake import FakeModel
from agentnb.models.http import Http
from agentnb.models.local import LocalModel
from agentnb.models.resolve import open_model
from agentnb.models.retry import RetryModel
from agentnb.transcript import fold
from tests.provider import provider, says
from tests.streams import collect

pytestmark = pytest.mark.anyio
ASK = Request((messages.user("hi"),))


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    opened = Http()
    yield opened
    await opened.aclose()


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("openai:gpt-5-mini", "openai:gpt-5-mini"),
        ("openai/gpt-5-mini", "openai:gpt-5-mini"),
        ("openrouter/meta-llama/llama-3:free", "openrouter:meta-llama/llama-3:free"),
        (" OpenAI:a:b/c ", "openai:a:b/c"),
    ],
)
async def test_the_first_separator_ends_the_provider(written: str, name: str, http: Http) -> None:
    model = open_model(written, http=http, environ={})
    assert isinstance(model, RetryModel)
    assert model.name == name


@pytest.mark.parametrize("written", ["", "gpt-5", "openai:", ":x", "/x"])
async def test_a_name_without_both_parts_says_how_to_write_one(written: str, http: Http) -> None:
    with pytest.raises(UsageError, match="provider:model"):
        open_model(written, http=http)


async def test_an_unknown_provider_names_the_nearest_and_all(http: Http) -> None:
    with pytest.raises(
        UsageError, match=r"Unknown provider 'opnai'\. Did you mean 'openai'\? There are: .*fake.*local"
    ):
        open_model("opnai:gpt-5", http=http)


async def test_another_server_is_reached_with_the_key_it_was_given(http: Http) -> None:
    async with provider(says("Hello")) as server:
        for base in (server.url, server.url.removesuffix("/v1")):
            model = open_model(
                "openai:anything", http=http, api_base=base, api_key_name="MY_KEY", environ={"MY_KEY": "sk-1"}
            )
            got, error = await collect(model, ASK)
            assert error is None
            assert fold(got).text == "Hello"
            await http.aclose()
    assert [asked.headers["authorization"] for asked in server.requests] == ["Bearer sk-1"] * 2
    assert {asked.path for asked in server.requests} == {"/v1/chat/completions"}


async def test_a_server_on_this_machine_needs_no_key_and_gets_none(http: Http) -> None:
    async with provider(says("Hello")) as server:
        model = open_model("openai:x", http=http, api_base=server.url, environ={"OPENAI_API_KEY": "sk-secret"})
        _, error = await collect(model, ASK)
        await http.aclose()
    assert error is None
    assert "authorization" not in server.requests[0].headers


async def test_a_missing_key_is_noticed_before_anything_is_sent(http: Http) -> None:
    _, error = await collect(open_model("openai:x", http=http, environ={}), ASK)
    assert isinstance(error, CredentialError)
    assert "OPENAI_API_KEY" in str(error)


@pytest.mark.parametrize("base", ["localhost:8080", "", "http://", "http://[x"])
async def test_a_base_that_is_no_url_is_refused(base: str, http: Http) -> None:
    with pytest.raises(UsageError, match="is not a base URL"):
        open_model("openai:x", http=http, api_base=base)


async def test_a_script_is_found_from_the_folder_of_the_notebook(tmp_path: Path, http: Http) -> None:
    (tmp_path / "s.json").write_text(json.dumps({"hi": "Hello"}))
    model = open_model("fake:s.json", http=http, base_dir=tmp_path)
    assert isinstance(model, FakeModel)
    assert model.name == "fake:s.json"
    got, _ = await collect(model, ASK)
    assert fold(got).text == "Hello"


async def test_a_local_model_is_opened_without_loading_anything(tmp_path: Path, http: Http) -> None:
    model = open_model("local:model.gguf", http=http, base_dir=tmp_path)
    assert isinstance(model, LocalModel)
