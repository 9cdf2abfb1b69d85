from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from inline_snapshot import snapshot

from agentnb import messages
from agentnb.errors import CredentialError, UsageError
from agentnb.models.base import Request
from agentnb.models.dialects import DIALECTS
from agentnb.models.http import Http
from agentnb.models.openai_options import THINKING
from agentnb.models.options import Options
from agentnb.models.providers import Provider, find, load_providers, with_rows
from agentnb.models.remote import RemoteModel
from tests.provider import Asked, document, provider, says
from tests.streams import collect

pytestmark = pytest.mark.anyio
ROWS = load_providers()
ASK = Request((messages.user("hi"),))
CHAT = [name for name, row in ROWS.items() if row.dialect in ("openai_chat", "azure")]


async def _asked(row: Provider, environ: Mapping[str, str], request: Request = ASK, answer: Any = None) -> Asked:
    """What arrives when this provider is asked; `URL` in the values of `environ` is where the server is."""
    http = Http()
    async with provider(answer or says("Hello")) as server:
        values = {name: value.replace("URL", server.url.removesuffix("/v1")) for name, value in environ.items()}
        _, error = await collect(RemoteModel("m", provider=row, http=http, environ=values), request)
    await http.aclose()
    if error is not None and not server.requests:
        raise error
    asked: Asked = server.requests[0]
    return asked


@pytest.mark.parametrize("name", ROWS)
def test_every_row_is_whole(name: str) -> None:
    row = ROWS[name]
    assert row.name == row.quirks.provider == name
    assert row.title
    assert row.base_url.startswith(("https://", "http://127.0.0.1:")) or (row.base_url == "" and row.base_url_name)
    assert not row.base_url.endswith("/")
    assert row.dialect in DIALECTS
    for variable in (row.key, row.base_url_name, *row.key_names):
        assert variable is not None
        assert re.fullmatch("[A-Z][A-Z0-9_]+", variable)
    assert row.key_required == (not row.base_url.startswith("http:"))
    assert row.models_path is None or row.models_path.startswith("/")
    assert row.quirks.thinking in THINKING
    options = DIALECTS[str(row.dialect)].options
    assert set(row.quirks.without) <= {*options, "name"}


def test_the_providers_that_people_have_are_there() -> None:
    assert sorted(ROWS) == snapshot(
        [
            "anthropic",
            "azure",
            "bigmodel",
            "cerebras",
            "dashscope",
            "dashscope-compatible",
            "deepseek",
            "fireworks",
            "gemini",
            "groq",
            "huggingface",
            "kimi",
            "llamacpp",
            "lmstudio",
            "minimax",
            "mistral",
            "nvidia",
            "ollama",
            "openai",
            "openai-responses",
            "openrouter",
            "together",
            "vllm",
            "xai",
            "zai",
        ]
    )


def test_a_row_is_found_by_its_name_and_by_its_other_names() -> None:
    names = [name for row in ROWS.values() for name in (row.name, *row.aliases)]
    assert len(set(names)) == len(names)
    assert [
        row.name
        for alias in ("google", "qwen", "Moonshot", " glm ", "zhipu", "responses")
        if (row := find(alias, ROWS))
    ] == [
        "gemini",
        "dashscope-compatible",
        "kimi",
        "zai",
        "bigmodel",
        "openai-responses",
    ]
    assert find("Groq", ROWS) is ROWS["groq"]
    assert find("nobody", ROWS) is None


async def test_azure_has_an_address_a_header_and_a_version_of_its_own() -> None:
    environ = {"AZURE_OPENAI_ENDPOINT": "URL/", "AZURE_OPENAI_API_KEY": "k-1"}
    asked = await _asked(ROWS["azure"], environ, replace(ASK, options=Options(max_tokens=9)))
    assert asked.path == snapshot("/openai/deployments/m/chat/completions?api-version=2024-10-21")
    assert asked.headers["api-key"] == "k-1"
    assert "authorization" not in asked.headers
    assert asked.json["max_completion_tokens"] == 9


@pytest.mark.parametrize("endpoint", ["URL", "URL/openai/", "URL/openai/deployments/m/chat/completions?api-version=1"])
async def test_an_azure_endpoint_may_have_a_path_behind_it(endpoint: str) -> None:
    environ = {"AZURE_OPENAI_ENDPOINT": endpoint, "AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_API_VERSION": "2025-01-01"}
    asked = await _asked(ROWS["azure"], environ)
    assert asked.path == "/openai/deployments/m/chat/completions?api-version=2025-01-01"


async def test_azure_without_an_endpoint_names_its_variable() -> None:
    with pytest.raises(UsageError, match="AZURE_OPENAI_ENDPOINT is not set"):
        await _asked(ROWS["azure"], {})


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if not row.key_required])
async def test_a_server_of_ones_own_needs_no_key_and_may_be_elsewhere(name: str) -> None:
    row = ROWS[name]
    environ = {str(row.base_url_name): "URL"}
    assert "authorization" not in (await _asked(row, environ)).headers
    assert (await _asked(row, {**environ, str(row.key): "k-1"})).headers["authorization"] == "Bearer k-1"


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.key_required])
async def test_a_provider_is_asked_with_its_key_where_its_variable_says(name: str) -> None:
    row = ROWS[name]
    environ = {str(row.base_url_name): "URL", str(row.key_names[0] if row.key_names else row.key): "k-1"}
    asked = await _asked(row, environ, answer=document({"error": "busy"}, 500))
    assert any("k-1" in value for value in asked.headers.values())
    with pytest.raises(CredentialError, match=f"{row.key} is not set"):
        await _asked(row, {str(row.base_url_name): "URL"})


@pytest.mark.parametrize("name", CHAT)
async def test_each_provider_is_told_not_to_think_and_how_long_its_answer_may_be(name: str) -> None:
    row = ROWS[name]
    environ = {str(row.base_url_name): "URL", str(row.key): "k"}
    wanted = Options(max_tokens=9, thinking=None if "thinking" in row.quirks.without else "off")
    body = (await _asked(row, environ, replace(ASK, options=wanted))).json
    told = {key: value for key, value in body.items() if key not in ("model", "messages", "stream", "stream_options")}
    expected = {
        "openai": snapshot({"max_completion_tokens": 9, "reasoning_effort": "none"}),
        "azure": snapshot({"max_completion_tokens": 9, "reasoning_effort": "none"}),
        "dashscope-compatible": snapshot({"max_tokens": 9, "enable_thinking": False}),
        "deepseek": snapshot({"max_tokens": 9, "thinking": {"type": "disabled"}}),
        "kimi": snapshot({"max_completion_tokens": 9, "thinking": {"type": "disabled"}}),
        "xai": snapshot({"max_completion_tokens": 9, "reasoning_effort": "none"}),
        "zai": snapshot({"max_tokens": 9, "thinking": {"type": "disabled"}}),
        "bigmodel": snapshot({"max_tokens": 9, "thinking": {"type": "disabled"}}),
        "minimax": snapshot({"max_completion_tokens": 9, "thinking": {"type": "disabled"}}),
        "mistral": snapshot({"max_tokens": 9, "reasoning_effort": "none"}),
        "groq": snapshot({"max_completion_tokens": 9, "reasoning_effort": "none"}),
        "openrouter": snapshot({"max_tokens": 9, "reasoning": {"enabled": False}}),
        "together": snapshot({"max_tokens": 9, "reasoning": {"enabled": False}}),
        "fireworks": snapshot({"max_tokens": 9, "reasoning_effort": "none"}),
        "cerebras": snapshot({"max_completion_tokens": 9, "reasoning_effort": "none"}),
        "nvidia": snapshot({"max_tokens": 9}),
        "huggingface": snapshot({"max_tokens": 9, "reasoning_effort": "none"}),
        "vllm": snapshot({"max_tokens": 9, "chat_template_kwargs": {"enable_thinking": False}}),
        "lmstudio": snapshot({"max_tokens": 9}),
        "llamacpp": snapshot({"max_tokens": 9, "chat_template_kwargs": {"enable_thinking": False}}),
    }
    assert told == expected[name]
    assert ("stream_options" in body) == (name != "mistral")


@pytest.mark.parametrize(
    ("name", "options", "option"),
    [
        ("openai", Options(top_k=3), "top_k"),
        ("openai", Options(cache="5m"), "cache"),
        ("openai-responses", Options(seed=3), "seed"),
        ("mistral", Options(seed=3), "seed"),
        ("lmstudio", Options(thinking="on"), "thinking"),
        ("cerebras", Options(presence_penalty=1.0), "presence_penalty"),
    ],
)
async def test_what_a_provider_does_not_have_is_refused(name: str, options: Options, option: str) -> None:
    environ = {str(ROWS[name].base_url_name): "URL", str(ROWS[name].key): "k"}
    with pytest.raises(UsageError, match=f"{name}:m has no option '{option}'"):
        await _asked(ROWS[name], environ, replace(ASK, options=options))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"base_url": "http://x", "key": 5}, "The provider 'mine' takes a text as 'key', not '5'."),
        ({"base_url": "http://x", "query": "x"}, "takes a table of texts as 'query'"),
        ({"base_url": "http://x", "query": {"v": 1}}, "takes a table of texts as 'query'"),
        ({"base_url": "http://x", "aliases": "me"}, "takes a list of texts as 'aliases'"),
        ({"base_url": "http://x", "without": [5]}, "takes a list of texts as 'without'"),
        ({"base_url": "http://x", "key_required": "no"}, "takes true or false as 'key_required'"),
        ({"base_url": "http://x", "quirks": {}}, "a setting 'quirks' that there is not"),
    ],
)
def test_a_row_of_one_s_own_with_a_value_of_another_kind_is_refused(row: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        with_rows({}, {"mine": row})
    assert said in str(raised.value)


def test_a_row_of_one_s_own_is_as_it_says() -> None:
    row = {"base_url": "http://x", "key_required": False, "without": ["seed"], "query": {"v": "1"}, "models_path": ""}
    mine = with_rows({}, {"mine": row})["mine"]
    assert (mine.key_required, mine.quirks.without, mine.query, mine.models_path) == (
        False,
        ("seed",),
        {"v": "1"},
        None,
    )


def test_a_row_of_one_s_own_may_change_a_part_of_ours() -> None:
    mine = with_rows(ROWS, {"openai": {"key": "WORK_KEY", "system_role": "developer"}})["openai"]
    quirks = replace(ROWS["openai"].quirks, system_role="developer")
    assert mine == replace(ROWS["openai"], key="WORK_KEY", quirks=quirks)
