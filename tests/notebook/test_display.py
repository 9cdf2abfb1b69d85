"""A run shown live, statically, and as text."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from agentnb import events, messages
from agentnb.errors import UsageError
from agentnb.events import Event
from agentnb.messages import Text, user
from agentnb.notebook.display import Display, Mode, default_mode, make_display
from agentnb.notebook.publisher import IPythonPublisher
from agentnb.render import RUN_MIME, Provenance, bundles
from agentnb.transcript import fold
from tests.render import samples


class FrontEnd:
    """A notebook's output area: keeps what each display shows last, in order, and every message's time and size."""

    def __init__(self) -> None:
        self.now = 0.0
        self.shown: dict[str, dict[str, object]] = {}
        self.times: list[float] = []
        self.size = 0
        self.text = ""

    def show(self, data: dict[str, object], metadata: dict[str, object], *, display_id: str, update: bool) -> None:
        assert update == (display_id in self.shown)
        self.shown[display_id] = data
        self.times.append(self.now)
        self.size += len(json.dumps([data, metadata], ensure_ascii=False).encode()) + 900

    def write(self, text: str) -> None:
        self.text += text

    @property
    def outputs(self) -> list[dict[str, object]]:
        return list(self.shown.values())

    @property
    def busiest(self) -> int:
        return max(sum(begin <= t < begin + 1 for t in self.times) for begin in self.times)

    def display(self, mode: Mode = "live", fmt: str = "markdown") -> Display:
        return make_display(mode, self, Provenance("ask"), format=fmt, clock=lambda: self.now)

    def play(self, display: Display, stream: Iterable[Event], *, ticks_per_event: float = 1) -> None:
        """Feed a stream; a tick comes every 50 ms."""
        due = 0.0
        for event in stream:
            display.feed([event])
            due += ticks_per_event
            while due >= 1:
                due -= 1
                self.now += 0.05
                display.tick()


def answer(chunks: int) -> list[Event]:
    """An answer of four characters a chunk."""
    deltas = [events.TextDelta("\n\n  "[:4] if n % 50 == 49 else "tok ") for n in range(chunks)]
    end = [events.MessageEnd("stop"), events.RunFinished("done", messages.Usage(1, chunks))]
    return [events.RunStarted("m:x"), events.MessageAdded(user("hi")), *deltas, *end]


@pytest.mark.parametrize("ticks_per_event", [0, 0.3, 6])
@pytest.mark.parametrize("fmt", ["markdown", "text", "code", "json", "html", "math"])
def test_live_ends_as_static_which_is_the_pure_rendering(fmt: str, ticks_per_event: float) -> None:
    stream = samples.run(samples.ANSWER + samples.HOSTILE + "\n\n" + ("word " * 40 + "\n\n") * 25)
    live, static = FrontEnd(), FrontEnd()
    display = live.display(fmt=fmt)
    live.play(display, stream, ticks_per_event=ticks_per_event)
    transcript = display.close()
    display = static.display("static", fmt)
    static.play(display, stream)
    assert static.shown == {}
    assert display.close() == transcript == fold(stream)
    assert live.outputs == static.outputs
    if fmt == "markdown":
        assert static.outputs == [b.data for b in bundles(transcript, Provenance("ask"))]


@pytest.mark.parametrize("rate", [1000, 2000, 4000, 1_000_000])
def test_traffic_is_linear_and_messages_are_few(rate: int) -> None:
    sizes = {}
    for chunks in (5000, 20_000):
        front = FrontEnd()
        display = front.display()
        front.play(display, answer(chunks), ticks_per_event=20 / rate)
        display.close()
        assert front.busiest <= 22
        sizes[chunks] = front.size
    assert sizes[20_000] <= 4 * 80_000
    assert sizes[20_000] <= 4.5 * sizes[5000]


def test_a_slow_stream_is_updated_several_times_a_second() -> None:
    front = FrontEnd()
    display = front.display()
    front.play(display, answer(6000)[:-2], ticks_per_event=20 / 100)  # 100 chunks a second, for a minute
    for second in range(1, 59):
        assert sum(second <= t < second + 1 for t in front.times) >= 4


def test_only_what_changed_is_sent() -> None:
    front = FrontEnd()
    display = front.display()
    front.play(display, samples.run()[:30])
    sent = []
    for _ in range(100):
        front.now += 0.05
        display.tick()
        sent.append(len(front.times))
    assert sent[20] == sent[-1]
    transcript = display.close()
    assert transcript.outcome is None


def test_feeding_publishes_nothing() -> None:
    front = FrontEnd()
    for mode in ("live", "static", "text"):
        display = front.display(mode)
        display.feed(samples.run())
    assert front.times == []
    assert front.text == ""


def test_waiting_is_shown_and_leaves_no_trace() -> None:
    front = FrontEnd()
    display = front.display()
    front.play(
        display,
        [events.RunStarted("m:x"), events.Waiting("Retrying in 4 s: 429 Too Many Requests", 4)],
        ticks_per_event=3,
    )
    assert "Retrying in 4 s" in str(front.outputs[0]["text/html"])
    front.play(display, answer(10)[1:], ticks_per_event=3)
    display.close()
    assert "Retrying" not in json.dumps(front.outputs)
    assert len(front.outputs) == 2


def test_a_quiet_start_says_who_is_asked() -> None:
    front = FrontEnd()
    display = front.display()
    display.feed([events.RunStarted("openai:gpt-5-mini")])
    for _ in range(20):
        front.now += 0.05
        display.tick()
    assert [data["text/plain"] for data in front.outputs] == ["Asking openai:gpt-5-mini …"]
    display.feed([events.RunError("No answer from api.openai.com. Check the network.", "ConnectionFailed")])
    display.close()
    # Why it failed is said once, by the error that the cell raises.
    assert [data["text/plain"] for data in front.outputs] == ["openai:gpt-5-mini · 0 rounds · failed"]


def test_a_run_that_breaks_off_is_still_closed() -> None:
    front = FrontEnd()
    display = front.display()
    front.play(display, samples.run()[:40])
    display.close()
    assert RUN_MIME in front.outputs[-1]
    assert "unfinished" in str(front.outputs[-1]["text/plain"])


def test_two_runs_in_one_cell_do_not_share_displays() -> None:
    front = FrontEnd()
    for _ in range(2):
        display = front.display()
        front.play(display, answer(3))
        display.close()
    assert len(front.shown) == 4


def test_text_mode_streams_the_run_as_text() -> None:
    front = FrontEnd()
    display = front.display("text")
    stream = samples.run("**Gentoo** \x1b[31mit\x1b[0m is.")
    written = []
    for event in stream:
        display.feed([event])
        display.tick()
        written.append(front.text)
    display.close()
    assert all(front.text.startswith(text) for text in written)
    assert "\x1b" not in front.text
    assert (
        front.text
        == """\
Thinking: The user wants the mean mass per species. I can call mean_mass for each of them, then plot.

First Gentoo.

I'll look at the data.
→ mean_mass(species='Gentoo')
→ plot_mass(by='species', options={'kind': 'bar', 'colors': ['#ff8c00', '#a034c0', '#0a7d7d']})
→ mean_mass(species='Emperor')
  reading 344 rows
← A bar chart.
← 5076.0
✗ KeyError: 'Emperor' is not a species of this table. Known: Adelie, Chinstrap, G…

**Gentoo** it is.

openai:gpt-5-mini · 2 rounds · 2,278 tokens: 1,942 in, 336 out
"""
    )


def test_text_mode_leaves_the_error_to_the_cell_that_raises_it() -> None:
    front = FrontEnd()
    display = front.display("text")
    display.feed([events.RunStarted("m:x"), events.TextDelta("half"), events.RunError("It\nbroke. Run it again.", "x")])
    display.close()
    assert front.text == "half\n\nm:x · 1 round · failed\n"


class TerminalInteractiveShell:
    """Named as IPython's."""


class ZMQInteractiveShell:
    """Named as ipykernel's."""


@pytest.mark.parametrize(
    ("environ", "shell", "mode"),
    [
        ({}, ZMQInteractiveShell(), "live"),
        ({}, TerminalInteractiveShell(), "text"),
        ({}, None, "text"),
        ({"AGENTNB_DISPLAY": "static"}, ZMQInteractiveShell(), "static"),
        ({"AGENTNB_DISPLAY": "live"}, TerminalInteractiveShell(), "live"),
        ({"AGENTNB_DISPLAY": ""}, ZMQInteractiveShell(), "live"),
    ],
)
def test_the_mode_follows_the_environment_and_the_shell(environ: dict[str, str], shell: object, mode: Mode) -> None:
    assert default_mode(environ, shell) == mode


def test_an_unknown_mode_or_format_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'static'"):
        default_mode({"AGENTNB_DISPLAY": "statik"}, None)
    with pytest.raises(UsageError, match="Did you mean 'markdown'"):
        FrontEnd().display(fmt="markdwon")


def test_the_real_publisher_sends_displays_and_updates() -> None:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    shell = InteractiveShell.instance()
    try:
        with capture_output() as captured:
            publisher = IPythonPublisher(shell)
            publisher.show({"text/plain": "x"}, {}, display_id="d", update=False)
            publisher.write("words")
    finally:
        InteractiveShell.clear_instance()
    assert [output.data for output in captured.outputs] == [{"text/plain": "x"}]
    assert captured.stdout == "words"


def test_tool_output_without_end_stays_bounded_while_it_streams() -> None:
    front = FrontEnd()
    display = front.display()
    lines: list[Event] = [events.ToolOutput("1", Text("x" * 1000)) for _ in range(1000)]
    stream = [events.RunStarted("m:x"), *samples.call("1", "f", "{}"), events.MessageEnd("tool_calls"), *lines]
    front.play(display, stream)
    assert front.busiest <= 15
    assert max(len(json.dumps(data)) for data in front.outputs) < 10_000
