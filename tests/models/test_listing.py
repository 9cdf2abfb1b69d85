from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from inline_snapshot import snapshot

from agentnb.errors import ConnectionFailed, CredentialError, RequestRefused, UsageError
from agentnb.models.cards import Card, Cards, Price
from agentnb.models.credentials import Credential
from agentnb.models.fake import FakeModel
from agentnb.models.http import Fetched, Http
from agentnb.models.listing import list_models, try_model
from agentnb.models.providers import Provider, find, load_providers
from tests.provider import document, provider

pytestmark = pytest.mark.anyio
KEY = Credential({"key": "sk-secret"}, where="MY_KEY")


class Pages:
    """Answers GETs in turn (the last again and again), or from a function of the URL; keeps what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self._answers = answers

    async def get(self, url: str, *, headers: Mapping[str, str]) -> Fetched:
        self.asked.append((url, headers))
        answer = self._answers[min(len(self.asked), len(self._answers)) - 1]
        if callable(answer):
            answer = answer(url)
        if isinstance(answer, Fetched):
            return answer
        return Fetched(200, {}, answer if isinstance(answer, bytes) else json.dumps(answer).encode())


def row(name: str = "openai") -> Provider:
    found = find(name, load_providers())
    assert found is not None
    return found


async def listed(
    pages: Pages, name: str = "openai", *, credential: Credential | None = KEY, cards: Cards | None = None
) -> tuple[Card, ...]:
    return await list_models(row(name), http=pages, credential=credential, cards=cards or Cards(), environ={})


async def names(*answers: Any, provider: str = "openai") -> list[str]:
    return [card.name.partition(":")[2] for card in await listed(Pages(*answers), provider)]


async def test_the_list_is_asked_for_once_with_the_key() -> None:
    pages = Pages({"data": [{"id": "gpt-5-mini", "object": "model"}]})
    assert [card.name for card in await listed(pages)] == ["openai:gpt-5-mini"]
    ((url, headers),) = pages.asked
    assert url == "https://api.openai.com/v1/models"
    assert headers["authorization"] == "Bearer sk-secret"


async def test_what_is_listed_comes_first_and_cards_add_what_is_known() -> None:
    cards = Cards(
        [
            Card("openai:other", price=Price(1, 2)),
            Card("openai:old", status="deprecated"),
            Card("openai:m", "Model M", 100, 50, frozenset({"text"}), price=Price(1, 2), read="2026-11-21"),
            Card("groq:m"),
        ]
    )
    found = await listed(Pages({"data": [{"id": "new"}, {"id": "m", "context_window": 200}]}), cards=cards)
    assert found == (
        Card("openai:new"),
        Card("openai:m", "Model M", 200, 50, frozenset({"text"}), price=Price(1, 2), read="2026-11-21"),
        Card("openai:other", price=Price(1, 2)),
    )


async def test_anthropic_s_list_has_pages() -> None:
    pages = Pages(
        {"data": [{"id": "claude-a", "display_name": "Claude A"}], "has_more": True, "last_id": "claude-a"},
        {"data": [{"id": "claude-b", "max_input_tokens": 1000000}], "has_more": False, "last_id": "claude-b"},
    )
    found = await listed(pages, "anthropic")
    assert found == (Card("anthropic:claude-a", "Claude A"), Card("anthropic:claude-b", context=1000000))
    assert [url for url, _ in pages.asked] == snapshot(
        [
            "https://api.anthropic.com/v1/models?limit=1000",
            "https://api.anthropic.com/v1/models?limit=1000&after_id=claude-a",
        ]
    )
    assert pages.asked[0][1]["x-api-key"] == "sk-secret"
    assert "anthropic-version" in pages.asked[0][1]


async def test_gemini_s_list_has_pages_and_models_of_other_kinds() -> None:
    model: dict[str, Any] = {
        "name": "models/gemini-x",
        "displayName": "Gemini X",
        "inputTokenLimit": 1000,
        "outputTokenLimit": 100,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "thinking": True,
    }
    other = {"name": "models/embedding-x", "supportedGenerationMethods": ["embedContent"]}
    pages = Pages(
        {"models": [other, model], "nextPageToken": "a b"},
        {"models": [{**model, "name": "models/gemini-y", "thinking": False}], "nextPageToken": ""},
    )
    assert await listed(pages, "gemini") == (
        Card("gemini:gemini-x", "Gemini X", 1000, 100, thinking=True),
        Card("gemini:gemini-y", "Gemini X", 1000, 100, thinking=False),
    )
    assert [url.partition("?")[2] for url, _ in pages.asked] == ["pageSize=1000", "pageSize=1000&pageToken=a%20b"]
    assert pages.asked[0][1]["x-goog-api-key"] == "sk-secret"


async def test_ollama_s_own_list_costs_nothing() -> None:
    pages = Pages({"models": [{"name": "llama3.2:latest", "model": "llama3.2:latest", "details": {"family": "llama"}}]})
    (card,) = await listed(pages, "ollama", credential=None)
    assert card == Card("ollama:llama3.2:latest", price=Price(0, 0))
    assert pages.asked[0][0] == "http://127.0.0.1:11434/api/tags"
    assert "authorization" not in pages.asked[0][1]


async def test_openrouter_s_list_has_prices_and_abilities() -> None:
    entry = {
        "id": "vendor/model:free",
        "name": "Vendor: Model",
        "context_length": 131072,
        "architecture": {"input_modalities": ["text", "image", "smell", None], "output_modalities": ["text"]},
        "pricing": {"prompt": "0.000002", "completion": "0.00001", "request": "0", "input_cache_read": "0.0000002"},
        "top_provider": {"context_length": 131072, "max_completion_tokens": 16384, "is_moderated": False},
        "supported_parameters": ["tools", "temperature", "reasoning"],
    }
    (card,) = await listed(Pages({"data": [entry]}), "openrouter")
    assert card == Card(
        "openrouter:vendor/model:free",
        "Vendor: Model",
        131072,
        16384,
        frozenset({"text", "image"}),
        frozenset({"text"}),
        tools=True,
        thinking=True,
        price=Price(2, 10, 0.2),
    )


async def test_a_router_that_cannot_say_its_price_has_none() -> None:
    (card,) = await listed(Pages({"data": [{"id": "auto", "pricing": {"prompt": "-1", "completion": "-1"}}]}))
    assert card.price is None


async def test_together_s_list_is_bare_and_priced_by_the_million() -> None:
    page = [
        {"id": "a/b", "type": "chat", "display_name": "B", "context_length": 10, "pricing": {"input": 1, "output": 2}},
        {"id": "a/rented", "type": "chat", "pricing": {"input": 0, "output": 0}},
        {"id": "a/draws", "type": "image"},
    ]
    assert await listed(Pages(page), "together") == (
        Card("together:a/b", "B", 10, price=Price(1, 2)),
        Card("together:a/rented"),
    )


async def test_mistral_says_what_its_models_do() -> None:
    def entry(name: str, **abilities: bool) -> dict[str, Any]:
        return {"id": name, "max_context_length": 32768, "capabilities": {**abilities}}

    page: Any = {"data": [entry("a", completion_chat=True, function_calling=False), entry("b", completion_chat=False)]}
    assert await listed(Pages(page), "mistral") == (Card("mistral:a", context=32768, tools=False),)


async def test_what_does_not_talk_is_left_out() -> None:
    kinds = ["text-embedding-3-small", "whisper-1", "tts-1-hd", "dall-e-3", "gpt-image-1", "omni-moderation-latest"]
    page: Any = {"data": [{"id": name} for name in (*kinds, "gpt-4o-realtime-preview", "gpt-5-mini")]}
    assert await names(page) == ["gpt-5-mini"]


async def test_a_provider_without_a_list_has_its_cards() -> None:
    pages = Pages()
    provider = Provider("mine", "http://x", models_path=None)
    cards = Cards([Card("mine:m"), Card("other:m")])
    assert await list_models(provider, http=pages, credential=None, cards=cards) == (Card("mine:m"),)
    with pytest.raises(UsageError, match=r"mine has no list of its models\. Write the name as mine:MODEL"):
        await list_models(provider, http=pages, credential=None, cards=Cards())
    assert pages.asked == []


async def test_another_server_is_asked_with_v1_where_it_has_none_without() -> None:
    missing = Fetched(404, {"content-type": "text/html"}, b"<h1>Not Found</h1>")
    pages = Pages(lambda url: {"data": [{"id": "m"}]} if "/v1/" in url else missing)
    found = await list_models(
        row("vllm"), http=pages, credential=None, cards=Cards(), environ={}, base_url="http://127.0.0.1:1"
    )
    assert [card.name for card in found] == ["vllm:m"]


async def test_the_address_may_come_from_the_environment() -> None:
    pages = Pages({"data": []})
    await list_models(
        row(), http=pages, credential=None, cards=Cards(), environ={"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}
    )
    assert pages.asked[0][0] == "http://127.0.0.1:1/v1/models"
    with pytest.raises(UsageError, match="No address for 'mine': MINE_URL is not set"):
        await list_models(
            Provider("mine", base_url_name="MINE_URL"), http=pages, credential=None, cards=Cards(), environ={}
        )


async def test_a_refused_key_is_named_and_never_shown() -> None:
    pages = Pages(Fetched(401, {}, b'{"error": {"message": "Incorrect API key provided: sk-secret", "code": "x"}}'))
    with pytest.raises(CredentialError) as caught:
        await listed(pages)
    assert "MY_KEY" in str(caught.value)
    assert "sk-secret" not in str(caught.value)


async def test_a_real_server_is_asked_over_http() -> None:
    http = Http()
    page = document({"data": [{"id": "m", "context_length": 5}]})
    refusal = document({"error": {"message": "no such key"}}, status=401)
    async with provider(page, refusal) as server:
        mine = Provider("mine", server.url)
        found = await list_models(mine, http=http, credential=KEY, cards=Cards(), environ={})
        with pytest.raises(CredentialError, match="no such key"):
            await list_models(mine, http=http, credential=KEY, cards=Cards(), environ={})
        await http.aclose()
    assert found == (Card("mine:m", context=5),)
    assert server.requests[0].path == "/v1/models"
    assert server.requests[0].headers["authorization"] == "Bearer sk-secret"
    with pytest.raises(ConnectionFailed):
        await list_models(mine, http=http, credential=KEY, cards=Cards(), environ={})
    await http.aclose()


@pytest.mark.parametrize("status", [404, 429, 500, 302])
async def test_any_other_refusal_is_one_of_ours(status: int) -> None:
    with pytest.raises(RequestRefused) as caught:
        await listed(Pages(Fetched(status, {}, b"<html><title>No</title></html>")))
    assert caught.value.status == status


async def test_a_connection_that_fails_fails_the_list() -> None:
    def fail(_: str) -> Any:
        raise ConnectionFailed("Nothing answers")

    with pytest.raises(ConnectionFailed):
        await listed(Pages(fail))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html><title>Welcome to nginx!</title></html>", "Welcome to nginx!"),
        (b"", "nothing"),
        (b"\xff\xfe\x00", ""),
        (b'{"object": "list"}', "object"),
        (b'{"error": {"message": "no"}}', "no"),
        (b"3", "3"),
        (b"null", "null"),
        (b'{"data": 3}', "data"),
        (b'{"data": [', "data"),
        (b"[" * 100_000, ""),
        (b'{"data": [{"id": "m", "context_length": 1e999}]}', "data"),
    ],
)
async def test_what_is_no_list_is_said(body: bytes, said: str) -> None:
    with pytest.raises(RequestRefused, match="openai answered with no list of models, but with: ") as caught:
        await listed(Pages(body))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


async def test_odd_entries_are_passed_over() -> None:
    odd: list[Any] = [
        *(
            None,
            3,
            "gpt",
            [],
            {},
            {"id": None},
            {"id": ""},
            {"id": 7},
            {"id": "a b"},
            {"id": "x\ny"},
            {"id": "<b>x</b>"},
        ),
        *({"id": "y" * 1000}, {"id": "\u202emoc"}, {"name": ["x"]}),
    ]
    page: Any = {"data": [*odd, {"id": "m"}, {"id": "m", "context_length": 5}]}
    assert await listed(Pages(page)) == (Card("openai:m"),)


async def test_odd_figures_are_passed_over() -> None:
    odd: dict[str, Any] = {
        "id": "m",
        "name": {"x": 1},
        "display_name": " \u0007 ",
        "context_length": -5,
        "max_model_len": "many",
        "inputTokenLimit": True,
        "context_window": 0,
        "max_completion_tokens": 1e300,
        "top_provider": [1],
        "architecture": {"input_modalities": "text", "output_modalities": None},
        "supported_parameters": "tools",
        "capabilities": {"function_calling": "yes"},
        "thinking": "much",
        "pricing": {"prompt": "free", "completion": [], "input_cache_read": True},
        "type": 3,
    }
    assert await listed(Pages({"data": [odd]})) == (Card("openai:m"),)


async def test_a_list_without_anything_is_empty() -> None:
    pages: list[Any] = [{"data": []}, {"data": None}, {"models": None}, []]
    for page in pages:
        assert await names(page) == []


async def test_a_long_list_is_read_whole() -> None:
    assert len(await names({"data": [{"id": f"m{n}"} for n in range(10_000)]})) == 10_000


async def test_a_list_that_never_ends_is_left() -> None:
    again = Pages({"data": [{"id": "m"}], "has_more": True, "last_id": "m"})
    assert len(await listed(again, "anthropic")) == 1
    assert len(again.asked) == 2
    endless = Pages(lambda url: {"models": [{"name": f"m{len(url)}"}], "nextPageToken": url[-40:] + "x"})
    assert await listed(endless, "gemini")
    assert len(endless.asked) <= 50


async def test_a_model_that_answers_says_how_fast() -> None:
    now = iter(range(100))
    cards = Cards([Card("x:m", price=Price(1, 1))])
    trial = await try_model(FakeModel("ready", name="x:m"), cards=cards, clock=lambda: float(next(now)))
    assert trial.ok
    assert trial.said == "ready"
    assert trial.usage.usd
    assert str(trial) == snapshot("x:m answers: the first word after 1.0 s, all in 3.0 s, 7 tokens.")


async def test_a_model_is_asked_for_little() -> None:
    model = FakeModel("ready")
    await try_model(model)
    assert model.requests[0].options.max_tokens == 64


async def test_a_model_that_does_not_answer_says_why() -> None:
    trial = await try_model(FakeModel(["rea", CredentialError("No key. Set X.")]), clock=lambda: 0.0)
    assert not trial.ok
    assert trial.said == "rea"
    assert str(trial) == "fake:script does not answer (0.0 s): No key. Set X."
