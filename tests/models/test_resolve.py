from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from agentnb import messages
from agentnb.errors import CredentialError, UsageError
from agentnb.models.base import Model, Request
from agentnb.models.cards import Card, Cards, Price
from agentnb.models.credentials import Credential
from agentnb.models.fake import FakeModel
from agentnb.models.http import Http
from agentnb.models.local import LocalModel
from agentnb.models.providers import Provider
from agentnb.models.resolve import Models, open_model
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


@pytest.mark.parametrize("written", ["", "  ", "nobody-has-this", "openai", "openai:", ":x", "/x"])
async def test_a_name_without_both_parts_says_how_to_write_one(written: str, http: Http) -> None:
    with pytest.raises(UsageError, match="provider:model"):
        open_model(written, http=http)


async def test_an_unknown_provider_names_the_nearest_and_all(http: Http) -> None:
    expected = r"Unknown provider 'opnai'\. Did you mean 'openai'\? It needs OPENAI_API_KEY\. There are: .*fake.*local"
    with pytest.raises(UsageError, match=expected):
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


def made(http: Http, **options: object) -> Models:
    return Models(http=http, environ={}, **options)  # type: ignore[arg-type]  # the keywords of Models


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("gpt-5-mini", "openai:gpt-5-mini"),
        ("claude-of-tomorrow", "anthropic:claude-of-tomorrow"),
        ("gemini-2.5-flash", "gemini:gemini-2.5-flash"),
        ("qwen3-max", "dashscope:qwen3-max"),
        ("moonshot/kimi-k3", "kimi:kimi-k3"),
        ("google:gemini-2.5-pro", "gemini:gemini-2.5-pro"),
        ("GLM:glm-5", "zai:glm-5"),
    ],
)
async def test_a_known_model_is_found_without_its_provider_or_by_an_alias_of_it(
    written: str, name: str, http: Http
) -> None:
    assert made(http).open(written).name == name
    assert made(http).can_resolve(written)


async def test_a_bare_name_that_several_serve_must_be_written_out(http: Http) -> None:
    models = made(http, cards=Cards([Card("groq:m"), Card("together:m"), Card("unknown:m")]))
    with pytest.raises(UsageError, match=r"'m' is served by several\. Write groq:m or together:m\."):
        models.open("m")


async def test_a_bare_name_that_is_almost_right_names_the_nearest(http: Http) -> None:
    with pytest.raises(UsageError, match=r"'gtp-5-mini' does not name a model. Did you mean 'gpt-5-mini'\?"):
        made(http).open("gtp-5-mini")


async def test_a_model_has_its_card_and_is_refused_what_that_excludes(http: Http) -> None:
    models = made(http)
    models.cards.add(Card("openai:blind", inputs=frozenset({"text"})))
    request = Request((messages.user(messages.Image(b"png")),))
    _, error = await collect(models.open("openai:blind"), request)
    assert isinstance(error, UsageError)
    assert "openai:blind takes no images" in str(error)


async def test_of_another_server_s_model_of_the_same_name_nothing_is_assumed(http: Http) -> None:
    models = made(http)
    models.cards.add(Card("openai:m", tools=False))
    spec = messages.ToolSpec("add", "", {"type": "object"})
    async with provider(says("Hello")) as server:
        model = models.open("openai:m", api_base=server.url)
        _, error = await collect(model, Request(ASK.messages, tools=(spec,)))
        await http.aclose()
    assert error is None


async def test_a_model_is_opened_once(http: Http) -> None:
    models = made(http)
    first = models.open("openai:m")
    assert models.open(" openai:m ") is first
    assert models.open("openai:m", api_key_name="OTHER") is not first
    assert models.open("openai:m", api_base="http://127.0.0.1:1") is not first
    assert models.open("openai:m", connect=1.0) is not first
    assert models.open("openai:m", api_key_name="OTHER") is models.open("openai:m", api_key_name="OTHER")


async def test_a_key_in_the_argument_is_used_and_not_kept(http: Http) -> None:
    models = made(http)
    async with provider(says("Hello")) as server:
        model = models.open("openai:m", api_base=server.url, api_key=" sk-secret ")
        await collect(model, ASK)
        await http.aclose()
    assert server.requests[0].headers["authorization"] == "Bearer sk-secret"
    assert "sk-secret" not in repr(vars(models))
    assert models.open("openai:m", api_key="sk-secret") is not models.open("openai:m", api_key="sk-secret")


@pytest.mark.parametrize("key", ["", "  ", "clé", "a\nb"])
async def test_a_key_that_is_none_is_refused_without_showing_it(key: str, http: Http) -> None:
    with pytest.raises(CredentialError, match="the argument does not hold a key") as caught:
        made(http).open("openai:m", api_key=key)
    assert not key.strip() or key not in str(caught.value)


async def test_credentials_come_from_where_one_says(http: Http) -> None:
    asked = []

    def store(row: Provider, key_name: str | None) -> Credential:
        asked.append((row.name, key_name))
        return Credential({"key": "from-the-store"})

    async with provider(says("Hello")) as server:
        models = made(http, credentials=store)
        models.add_provider(Provider("mine", server.url, key="MY_KEY"))
        await collect(models.open("mine:m"), ASK)
        await collect(models.open("mine:m", api_key_name="work"), ASK)
        await http.aclose()
    assert asked == [("mine", None), ("mine", "work")]
    assert server.requests[0].headers["authorization"] == "Bearer from-the-store"


async def test_a_variable_that_one_names_must_be_set(http: Http) -> None:
    _, error = await collect(made(http).open("ollama:m", api_key_name="NOT_SET"), ASK)
    assert isinstance(error, CredentialError)
    assert "NOT_SET" in str(error)


async def test_a_registered_name_goes_first(http: Http) -> None:
    models = made(http)
    mine = FakeModel("Hello")
    models.register("openai:m", mine)
    models.register_factory("openai:.*", lambda name: FakeModel(name, name=name))
    assert models.open("openai:m") is mine
    assert models.open("openai:other").name == "openai:other"


async def test_a_registered_factory_is_called_once_when_it_is_first_asked(http: Http) -> None:
    calls = []

    def factory(name: str) -> Model:
        calls.append(name)
        return RetryModel(FakeModel("Hello"))

    models = made(http)
    models.register("best", factory)
    assert models.can_resolve("best")
    assert calls == []
    assert models.open("best") is models.open("best")
    assert calls == ["best"]


async def test_the_newest_pattern_that_matches_the_whole_name_makes_the_model(http: Http) -> None:
    models = made(http)
    models.register_factory("mine:.*", lambda _: FakeModel(name="old"))
    opened = models.open("mine:x")
    models.register_factory("mine:x+", lambda _: FakeModel(name="new"))
    assert [models.open(name).name for name in ("mine:x", "mine:xx", "mine:xy")] == ["new", "new", "old"]
    assert opened.name == "old"
    assert not models.can_resolve("also mine:x")
    models.register_factory("mine:.*", lambda _: FakeModel(name="newest"))
    assert models.open("mine:x").name == "newest"


async def test_what_is_no_model_is_refused(http: Http) -> None:
    models = made(http)
    with pytest.raises(UsageError, match="'x' cannot stand for 3: it is no model, and makes none"):
        models.register("x", 3)  # type: ignore[arg-type]  # what a person might do
    models.register("y", lambda _: None)  # type: ignore[arg-type, return-value]  # what a person might do
    with pytest.raises(UsageError, match="What was registered for 'y' made no model, but NoneType"):
        models.open("y")
    with pytest.raises(UsageError, match=r"'\(' is not a regular expression"):
        models.register_factory("(", FakeModel)


async def test_an_alias_stands_for_another_name_with_all_that_is_said(http: Http) -> None:
    models = made(http)
    models.alias("fast", "openai:m")
    models.alias("best", "fast")
    assert models.open("best").name == "openai:m"
    async with provider(says("Hello")) as server:
        _, error = await collect(models.open("best", api_base=server.url), ASK)
        await http.aclose()
    assert error is None
    models.alias("fast", "openai:n")
    assert models.open("best").name == "openai:n"


@pytest.mark.parametrize("target", ["a", "b", "c"])
async def test_an_alias_never_goes_round_in_a_circle(target: str, http: Http) -> None:
    models = made(http)
    models.alias("c", "b")
    models.alias("b", "a")
    with pytest.raises(UsageError, match=f"'a' cannot stand for '{target}', which stands for 'a' itself"):
        models.alias("a", target)
    assert not models.can_resolve("c")
    models.alias("a", "openai:m")
    with pytest.raises(UsageError, match="cannot stand for"):
        models.alias("a", target)
    assert models.open("c").name == "openai:m"


async def test_what_is_registered_can_be_seen_and_removed(http: Http) -> None:
    models = made(http)
    models.register("one", FakeModel(name="fake:1"))
    models.register("two", FakeModel)
    models.alias("three", "openai:m")
    models.register_factory("four:.*", FakeModel)
    assert models.names() == {
        "one": "fake:1",
        "two": "made when asked for",
        "three": "openai:m",
        "four:.*": "made when asked for",
    }
    for name in models.names():
        models.remove(name)
    assert models.names() == {}
    assert not any(map(models.can_resolve, ("one", "two", "three", "four:x")))
    models.alias("three", "openai:m")
    with pytest.raises(UsageError, match=r"No model is registered as 'tree'\. Did you mean 'three'\?"):
        models.remove("tree")


async def test_a_name_means_what_it_was_last_given(http: Http) -> None:
    models = made(http)
    models.register("x", FakeModel(name="fake:1"))
    models.alias("x", "openai:m")
    assert models.open("x").name == "openai:m"
    models.register("x", FakeModel(name="fake:2"))
    assert models.open("x").name == "fake:2"
    assert models.names() == {"x": "fake:2"}


async def test_a_provider_is_a_row_that_one_can_add(http: Http) -> None:
    models = made(http)
    assert not models.can_resolve("mine:m")
    async with provider(says("Hello")) as server:
        models.add_provider(Provider("mine", server.url, aliases=("ours",)))
        got, error = await collect(models.open("ours:m"), ASK)
        await http.aclose()
    assert error is None
    assert fold(got).text == "Hello"
    assert models.provider("OURS").name == "mine"
    assert "mine" in models.providers()
    assert "mine" not in made(http).providers()


async def test_a_row_that_cannot_work_is_refused(http: Http) -> None:
    row = Provider("mine", "http://127.0.0.1:1")
    for name in ("", "Mine", "a:b", "a/b", "local", "fake"):
        with pytest.raises(UsageError, match="A provider cannot be called"):
            made(http).add_provider(replace(row, name=name))
    with pytest.raises(UsageError, match=r"There is no dialect 'openai_chats' for 'mine'\. Did you mean 'openai_chat'"):
        made(http).add_provider(replace(row, dialect="openai_chats"))


async def test_what_runs_here_costs_nothing(http: Http) -> None:
    card = made(http).cards.find("local:qwen2.5-coder-0.5b")
    assert card is not None
    assert card.price == Price(0, 0)


async def test_a_script_is_read_again_because_it_may_have_been_edited(tmp_path: Path, http: Http) -> None:
    models = made(http, base_dir=tmp_path)
    for answer in ("one", "two"):
        (tmp_path / "s.json").write_text(json.dumps({"hi": answer}))
        got, _ = await collect(models.open("fake:s.json"), ASK)
        assert fold(got).text == answer


def test_a_model_in_memory_stays_when_another_name_is_given() -> None:
    models = Models(http=Http(), environ={})
    opened = models.open("local:qwen2.5-coder-0.5b")
    models.register("mine", opened)
    models.alias("other", "mine")
    assert models.open("local:qwen2.5-coder-0.5b") is opened
    models.alias("local:qwen2.5-coder-0.5b", "fake:x")
    assert models.can_resolve("local:qwen2.5-coder-0.5b")
    with pytest.raises(UsageError, match="No script"):
        models.open("local:qwen2.5-coder-0.5b")


def test_a_kind_of_model_that_is_no_provider_is_not_its_own_nearest() -> None:
    with pytest.raises(UsageError, match=r"'fake' is no provider that can be asked\. Write the model as fake:NAME\."):
        Models(http=Http(), environ={}).provider("fake")


def test_a_model_of_a_script_knows_the_stored_keys_and_the_settings(tmp_path: Path) -> None:
    environ = {"AGENTNB_HOME": str(tmp_path), "AGENTNB_KEYRING": "off"}
    (tmp_path / "config.toml").write_text("[http]\nconnect = -1\n")
    with pytest.raises(UsageError, match=r"config\.toml: http\.connect"):
        open_model("openai:x", environ=environ)
    (tmp_path / "config.toml").unlink()
    open_model("openai:x", environ=environ)
