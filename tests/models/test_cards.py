from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from agentnb import messages
from agentnb.errors import UsageError
from agentnb.messages import Audio, File, Image, Text, ToolResult, ToolSpec, Usage
from agentnb.models.base import Request
from agentnb.models.cards import Card, Cards, Price

TEXT_ONLY = Card("x:m", inputs=frozenset({"text"}), read="2026-11-21")
TOOL = ToolSpec("add", "", {"type": "object"})


def asks(*content: str | messages.Block) -> Request:
    return Request((messages.user("Look:", *content),))


def test_each_kind_of_token_has_its_price() -> None:
    card = Card("x:m", price=Price(2, 10, cached=0.2, written=2.5))
    usage = Usage(input=1000, output=100, cached=600, written=300, reasoning=50)
    assert card.cost(usage) == pytest.approx((100 * 2 + 600 * 0.2 + 300 * 2.5 + 100 * 10) / 1e6)


def test_where_no_other_price_is_known_cached_tokens_cost_what_others_do() -> None:
    assert Card("x:m", price=Price(2, 10)).cost(Usage(1000, 0, cached=900, written=50)) == pytest.approx(0.002)


def test_counts_that_do_not_add_up_never_make_a_cost_less_than_nothing() -> None:
    assert Card("x:m", price=Price(2, 10)).cost(Usage(10, 0, cached=30)) == pytest.approx(60 / 1e6)


def test_a_long_prompt_costs_more_altogether() -> None:
    price = Price(1, 5, above=((1000, Price(2, 8)), (5000, Price(4, 9))))
    assert [price.cost(Usage(n, 0)) * 1e6 for n in (1000, 1001, 5001)] == pytest.approx([1000, 2002, 20004])


def test_without_a_price_the_cost_is_not_known() -> None:
    assert Card("x:m").cost(Usage(5, 5)) is None


def test_a_model_that_only_reads_refuses_an_image_and_says_why() -> None:
    with pytest.raises(UsageError) as caught:
        TEXT_ONLY.check(asks(Image(b"png")))
    assert str(caught.value) == snapshot(
        "x:m takes no images: its card (read 2026-11-21) lists text. Leave the image out, or choose a model that takes "
        "it."
    )


@pytest.mark.parametrize(
    ("block", "word"),
    [
        (Audio(b"wav"), "audio"),
        (File("a.pdf", b"x", "application/pdf"), "files"),
        (File("a.mp4", b"x", "video/mp4"), "video"),
    ],
)
def test_each_medium_is_called_by_its_name(block: messages.Block, word: str) -> None:
    with pytest.raises(UsageError, match=f"x:m takes no {word}: its card"):
        TEXT_ONLY.check(asks(block))


def test_what_the_card_lists_or_does_not_know_passes() -> None:
    replace(TEXT_ONLY, inputs=frozenset({"text", "image"})).check(asks(Image(b"png")))
    Card("x:m").check(asks(Image(b"png"), Audio(b"wav")))
    TEXT_ONLY.check(asks("words", File("notes.md", b"# Notes", "text/markdown")))


def test_what_a_tool_gave_is_left_to_the_dialect() -> None:
    given = messages.Message("tool", (ToolResult("c1", "plot", (Text("here"), Image(b"png"))),))
    TEXT_ONLY.check(Request((messages.user("plot"), given)))


def test_a_model_without_tools_is_given_none() -> None:
    with pytest.raises(UsageError, match=r"x:m calls no tools: its card \(of yours\) says so"):
        Card("x:m", tools=False).check(Request((messages.user("hi"),), tools=(TOOL,)))
    Card("x:m", tools=False).check(asks())
    Card("x:m").check(Request((messages.user("hi"),), tools=(TOOL,)))


@pytest.mark.parametrize(
    ("asked", "as_if"),
    [
        ("openai:gpt-5-mini-2025-08-07", "openai:gpt-5-mini"),
        ("anthropic:claude-haiku-4-5-20251001", "anthropic:claude-haiku-4-5"),
        ("anthropic:claude-haiku-4-5@20251001", "anthropic:claude-haiku-4-5"),
        ("anthropic:claude-opus-4-5-latest", "anthropic:claude-opus-4-5"),
        ("gemini:models/gemini-2.5-flash", "gemini:gemini-2.5-flash"),
        ("gemini:gemini-2.5-flash-001", "gemini:gemini-2.5-flash"),
        ("azure:gpt-4o", "openai:gpt-4o"),
        ("openai-responses:gpt-5-mini", "openai:gpt-5-mini"),
        ("dashscope-compatible:qwen3-max", "dashscope:qwen3-max"),
        ("openrouter:openai/gpt-5-mini", "openai:gpt-5-mini"),
        ("openrouter:anthropic/claude-haiku-4.5", "anthropic:claude-haiku-4-5"),
        ("openrouter:google/gemini-2.5-pro", "gemini:gemini-2.5-pro"),
    ],
)
def test_a_model_is_known_by_its_other_names(asked: str, as_if: str) -> None:
    cards = Cards.bundled()
    known = cards.find(as_if)
    assert known is not None
    assert cards.find(asked) == replace(known, name=asked)


def test_what_many_serve_has_its_facts_but_no_price() -> None:
    for name in ("openrouter:z-ai/glm-5", "bigmodel:glm-5"):
        card = Cards.bundled().find(name)
        assert card is not None
        assert card.context
        assert card.price is None


@pytest.mark.parametrize(
    "name",
    ["local:qwen", "fake:s.json", "ollama:llama3.2:latest", "vllm:x/y", "lmstudio:a", "openrouter:z-ai/glm-5:free"],
)
def test_what_runs_here_or_is_given_away_costs_nothing(name: str) -> None:
    card = Cards.bundled().find(name)
    assert card is not None
    assert card.cost(Usage(1000, 1000)) == 0


@pytest.mark.parametrize(
    "name", ["", ":", "openai", "openai:", "nobody:x", "openrouter:x", "ollama:gpt-oss:120b-cloud"]
)
def test_of_others_nothing_is_known(name: str) -> None:
    assert Cards.bundled().find(name) is None


def test_a_card_of_your_own_goes_before_the_bundled_one() -> None:
    cards = Cards.bundled()
    cards.add(Card("openai:gpt-5-mini", price=Price(7, 7)))
    cards.add(Card("vllm:big", price=Price(1, 1)))
    assert [card.price for card in map(cards.find, ("openai:gpt-5-mini", "vllm:big")) if card] == [
        Price(7, 7),
        Price(1, 1),
    ]
    assert sum(card.name == "openai:gpt-5-mini" for card in cards) == 1
    other = Cards.bundled().find("openai:gpt-5-mini")
    assert other is not None
    assert other.price != Price(7, 7)


def test_the_bundled_cards_are_many_and_in_order() -> None:
    cards = list(Cards.bundled())
    assert len(cards) > 100
    for card in cards:
        assert card.read
        assert card.status in ("active", "deprecated", "sunset")
        assert card.inputs | card.outputs <= {"text", "image", "audio", "video", "file"}
        assert card.output is None or card.context is None or 0 < card.output <= card.context
        tiers = [card.price, *(price for _, price in card.price.above)] if card.price else []
        for price in tiers:
            assert 0 <= (price.cached or 0) <= price.input <= price.output, card.name
            assert price.written is None or price.written >= price.input, card.name


def test_one_bundled_card_reads_like_this() -> None:
    assert Cards.bundled().find("anthropic:claude-sonnet-4-5") == snapshot(
        Card(
            name="anthropic:claude-sonnet-4-5",
            title="Claude Sonnet 4.5",
            context=200000,
            output=64000,
            inputs=frozenset({"file", "image", "text"}),
            outputs=frozenset({"text"}),
            tools=True,
            thinking=True,
            price=Price(
                input=3,
                output=15,
                cached=0.3,
                written=3.75,
                above=((200000, Price(input=6, output=22.5, cached=0.6, written=7.5)),),
            ),
            read="2026-11-21",
            status="deprecated",
        )
    )


def test_a_bare_name_leads_to_whoever_has_it() -> None:
    cards = Cards.bundled()
    assert cards.providers_of("gpt-5-mini") == ("openai",)
    assert cards.providers_of("qwen-that-is-new") == ("dashscope",)
    assert cards.providers_of("nothing") == ()
    cards.add(Card("mine:gpt-5-mini"))
    assert cards.providers_of("gpt-5-mini") == ("openai", "mine")


def test_no_card_is_read_before_one_is_asked_for(tmp_path: Path) -> None:
    cards = Cards(path=tmp_path / "missing.json")
    cards.add(Card("x:m"))
    assert cards.find("x:m") == Card("x:m")
    with pytest.raises(FileNotFoundError):
        cards.find("x:n")
