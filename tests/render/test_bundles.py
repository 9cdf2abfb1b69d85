"""A run as displays."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest
from inline_snapshot import snapshot

from agentnb import events, messages
from agentnb.events import Event
from agentnb.messages import Audio, File, Image, Text, user
from agentnb.render import RUN_MIME, Bundle, Provenance, Renderer, bundles, plain, summary
from agentnb.render.bundles import Format, footer
from agentnb.transcript import Folder, Transcript, fold
from tests.render import samples


def ended(*stream: Event) -> list[Event]:
    """A run around some events."""
    return [events.RunStarted("m:x"), *stream, events.RunFinished("done", messages.Usage())]


def shown(stream: list[Event], fmt: Format = "markdown") -> tuple[Bundle, ...]:
    """The displays of a stream."""
    return bundles(fold(stream), fmt=fmt)


class Tags(HTMLParser):
    """Every tag of a piece of HTML, and what its style says."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_displays_of_a_run_come_in_order_with_stable_ids() -> None:
    assert [b.id for b in shown(samples.run())] == snapshot(
        ["k1.0", "t1.1.0", "c1.2", "c1.3", "c1.4", "i1.x2.0", "t3.0.0", "end"]
    )


def test_a_run_as_text_tells_the_whole_of_it() -> None:
    assert plain(fold(samples.run("**Gentoo** it is."))) == snapshot(
        """\
Thinking: The user wants the mean mass per species. I can call mean_mass for each of them, then plot.

First Gentoo.

I'll look at the data.

✓ mean_mass(species='Gentoo') → 5076.0

✓ plot_mass(by='species', options={'kind': 'bar', 'colors': ['#ff8c00', '#a034c0', '#0a7d7d']}) → A bar chart.
output:
reading 344 rows
result:
A bar chart.
[image/png, 611 bytes]

✗ mean_mass(species='Emperor') → KeyError: 'Emperor' is not a species of this table. Known: Adelie, Chinstrap, G…
error:
KeyError: 'Emperor' is not a species of this table. Known: Adelie, Chinstrap, Gentoo.

[mean mass by species]

**Gentoo** it is.

openai:gpt-5-mini · 2 rounds · 2,278 tokens: 1,942 in, 336 out
"""
    )


def test_every_display_has_plain_text_and_the_last_one_the_record() -> None:
    made = shown(samples.run())
    assert all(isinstance(b.data["text/plain"], str) for b in made)
    assert RUN_MIME in made[-1].data
    assert not any(RUN_MIME in b.data for b in made[:-1])


def test_cards_hold_nothing_but_text_and_inline_style() -> None:
    stream = ended(
        events.ThinkingDelta(samples.HOSTILE),
        *samples.call("1", samples.HOSTILE, json.dumps({samples.HOSTILE: samples.HOSTILE})),
        events.MessageEnd("tool_calls"),
        events.ToolOutput("1", Text(samples.HOSTILE)),
        samples.result("1", "x", Text(samples.HOSTILE), is_error=True),
    )
    for bundle in shown([*stream[:-1], events.RunError(samples.HOSTILE, "x")]):
        page = Tags(str(bundle.data.get("text/html", "")))
        assert page.tags <= {"div", "details", "summary", "span", "pre"}
        assert page.attributes <= {"style", "open"}


def test_styles_survive_the_sanitizer_of_an_untrusted_notebook() -> None:
    for bundle in shown(samples.run()):
        html = str(bundle.data.get("text/html", ""))
        assert "var(" not in html
        assert "<style" not in html
        assert "class=" not in html


def test_a_card_is_folded_when_done_and_open_on_an_error() -> None:
    made = {b.id: str(b.data.get("text/html")) for b in shown(samples.run())}
    assert "<details>" in made["c1.2"]
    assert "<details open>" in made["c1.4"]
    assert Tags(made["c1.4"]).text.endswith("Known: Adelie, Chinstrap, Gentoo.")


def test_thinking_is_open_while_it_streams() -> None:
    live = [events.RunStarted("m:x"), events.ThinkingDelta("hm")]
    assert "<details open>" in str(shown(live)[0].data["text/html"])
    assert "<details>" in str(shown([*live, events.TextDelta("Yes.")])[0].data["text/html"])


def test_a_call_without_an_answer_at_the_end_says_so() -> None:
    stream = [*samples.call("1", "f", "{}"), events.MessageEnd("tool_calls")]
    made = shown([events.RunStarted("m:x"), *stream, events.RunError("Interrupted.", "x", "interrupted")])
    assert [b.data["text/plain"] for b in made] == [
        "■ f() → not answered",
        "■ Interrupted.",
        "m:x · 1 round · interrupted",
    ]


def test_a_huge_result_leaves_a_small_notebook() -> None:
    huge = "x<&" * 3_500_000
    stream = ended(
        events.MessageAdded(messages.user(huge)),
        events.ThinkingDelta(huge),
        *samples.call("1", "f", json.dumps({"a": huge})),
        events.MessageEnd("tool_calls"),
        *(events.ToolOutput("1", Text(huge[:1000])) for _ in range(1000)),
        samples.result("1", "f", Text(huge), messages.Data(huge)),
    )
    made = bundles(fold(stream), Provenance(huge, {"v": "sha256:0"}, {"p": huge}))
    assert len(json.dumps([b.data for b in made])) < 100_000
    assert "characters left out" in str(made[1].data["text/html"])


def test_a_picture_that_is_too_big_or_not_a_picture_is_named() -> None:
    def only(image: Image) -> dict[str, object]:
        return shown(ended(events.BlockAdded(image), events.MessageEnd("stop")))[0].data

    assert only(Image(b"x" * 3_000_000)) == {"text/plain": "[image/png, 3.0 MB]"}
    assert only(Image(b"<svg/>", "image/svg+xml")) == {"text/plain": "[image/svg+xml, 6 bytes]"}
    assert only(Image(url="https://leak.example/x.png")) == {"text/plain": "[image https://leak.example/x.png]"}
    assert only(Image(b"png", alt="a chart")) == {"image/png": "cG5n", "text/plain": "[a chart]"}


def test_displays_never_change_places_while_a_run_goes_on() -> None:
    folder, renderer, seen = Folder(), Renderer(), list[str]()
    for event in samples.run():
        folder.feed(event)
        now = [piece.id for piece in renderer.pieces(folder.transcript())]
        assert now[: len(seen)] == seen
        seen = now


def test_a_growing_run_ends_as_a_finished_one() -> None:
    long = samples.run("Paragraph of an answer. " * 20 + "\n\n" + ("word " * 99 + "\n\n") * 60)
    folder, renderer = Folder(), Renderer()
    for event in long:
        folder.feed(event)
        pieces = renderer.pieces(folder.transcript())
    assert tuple(piece.make() for piece in pieces) == bundles(folder.transcript())


@pytest.mark.parametrize(
    ("fmt", "answer", "shown_as"),
    [
        ("code", "x = 1", "``````````\nx = 1\n``````````"),
        ("code", "```python\nx = 1\n```", "```python\nx = 1\n```"),
        ("html", "<b>x</b>", "``````````html\n<b>x</b>\n``````````"),
        ("json", '{"a":[1]}', '```json\n{\n  "a": [\n    1\n  ]\n}\n```\n'),
        ("json", '```json\n{"a":1}\n```', '```json\n{\n  "a": 1\n}\n```\n'),
        ("json", "not json", "```json\nnot json\n```\n"),
        ("math", "\\frac{a}{b}", "$$\n\\frac{a}{b}\n$$"),
        ("math", "It is $a$.", "It is $a$."),
    ],
)
def test_an_answer_can_be_shown_in_another_format(fmt: Format, answer: str, shown_as: str) -> None:
    made = shown(ended(events.TextDelta(answer), events.MessageEnd("stop")), fmt)
    assert made[0].data["text/markdown"] == shown_as


@pytest.mark.parametrize("fmt", ["text", "code", "html"])
def test_an_answer_shown_as_source_is_plain_text_without_the_fence(fmt: Format) -> None:
    made = shown(ended(events.TextDelta("<b>x</b>"), events.MessageEnd("stop")), fmt)
    assert str(made[0].data["text/plain"]).strip() == "<b>x</b>"


def test_an_answer_that_a_content_filter_cut_off_says_so() -> None:
    made = shown(ended(events.TextDelta("Well"), events.MessageEnd("content_filter")))
    assert "content filter" in str(made[-1].data["text/plain"])


def test_the_text_format_has_nothing_but_text() -> None:
    for bundle in shown(samples.run(), "text"):
        assert not {"text/html", "text/markdown"} & bundle.data.keys()


def test_one_bundle_sums_up_a_run() -> None:
    made = summary(fold(samples.run("<b>Gentoo</b>")))
    assert made["text/markdown"] == "&lt;b>Gentoo&lt;/b>"
    assert str(made["text/plain"]).endswith("2,278 tokens: 1,942 in, 336 out\n")


def test_an_answer_that_was_asked_for_again_says_why_in_one_line() -> None:
    stream = [
        events.RunStarted("m:x"),
        events.MessageAdded(user("Which?")),
        events.TextDelta("no"),
        events.MessageEnd("stop"),
        events.MessageAdded(user("Your answer is not valid: <b>. Give it again:\n{}")),
        events.TextDelta("yes"),
        events.MessageEnd("stop"),
        events.RunFinished("done", messages.Usage()),
    ]
    made = bundles(fold(stream))
    assert [bundle.data["text/plain"] for bundle in made[:3]] == ["no", "↻ Your answer is not valid: <b>", "yes"]
    html = str(made[1].data["text/html"])
    assert "&lt;b&gt;" in html
    assert "Give it again" in html


@pytest.mark.parametrize(
    ("block", "name", "plays"),
    [
        (Audio(b"RIFF"), "[audio/wav, 4 bytes]", True),
        (Audio(b"x", "audio/mpeg"), "[audio/mpeg, 1 byte]", True),
        (Audio(b"x", "audio/L16;rate=24000"), "[audio/L16;rate=24000, 1 byte]", False),
        (Audio(b"x", 'audio/wav" onerror="x'), '[audio/wav" onerror="x, 1 byte]', False),
        (Audio(url="https://a/<b>.mp3"), "[audio https://a/<b>.mp3]", False),
        (Audio(b"x" * 2_000_001), "[audio/wav, 2.0 MB]", False),
        (File("a\x1b[31m.pdf", b"x"), "[file a.pdf, 1 byte]", False),
        (File("a.pdf", url="https://a/b.pdf"), "[file a.pdf, https://a/b.pdf]", False),
    ],
)
def test_a_sound_can_be_played_and_anything_else_is_named(block: Audio | File, name: str, plays: bool) -> None:
    stream = [events.RunStarted("m:x"), events.BlockAdded(block), events.MessageEnd("stop")]
    data = bundles(fold(stream))[0].data
    assert data["text/plain"] == name
    html = str(data["text/html"])
    assert html.startswith("<audio controls src=") == plays
    assert "<b>" not in html
    assert 'onerror="' not in html


def test_a_sound_that_a_tool_returns_can_be_played_once() -> None:
    sound = Audio(b"RIFF")
    stream = [
        events.RunStarted("m:x"),
        *samples.call("1", "hum", "{}"),
        events.MessageEnd("tool_calls"),
        events.ToolStarted("1"),
        events.ToolOutput("1", sound),
        samples.result("1", "hum", sound),
        events.RunFinished("done", messages.Usage()),
    ]
    assert sum("<audio" in str(bundle.data.get("text/html")) for bundle in bundles(fold(stream))) == 1


def test_the_footer_names_who_answered_not_who_was_asked() -> None:
    answer = messages.assistant("Hi.", model="local:small")
    run = Transcript(model="openai:gpt-5-mini", messages=(messages.user("hi"), answer), outcome="done")
    assert footer(run).startswith("local:small · 1 round")
