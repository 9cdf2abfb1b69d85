from __future__ import annotations

import io

from agentnb.notebook.console import Console


def shown(console_out: io.StringIO) -> str:
    return console_out.getvalue().strip("\n")


def display(console: Console, update: bool = False, key: str | None = "agentnb-1-t0", **data: str) -> None:
    names = {"md": "text/markdown", "plain": "text/plain", "html": "text/html"}
    bundle = {names[kind]: text for kind, text in data.items()}
    transient = {"display_id": key} if key else {}
    console.message("update_display_data" if update else "display_data", {"data": bundle, "transient": transient})


def test_of_a_growing_answer_only_what_is_new_is_written() -> None:
    out = io.StringIO()
    console = Console(out)
    for text in ("Gentoo", "Gentoo penguins", "Gentoo penguins"):
        display(console, update=text != "Gentoo", md=text)
    display(console, update=True, md="Gentoo penguins are heavy.", plain="Gentoo penguins are heavy.")
    assert shown(out) == "Gentoo penguins are heavy."


def test_a_code_block_that_grows_is_not_closed_before_its_end() -> None:
    out = io.StringIO()
    console = Console(out)
    display(console, md="```python\nx = 1\n```")
    display(console, update=True, md="```python\nx = 12\ny = 3\n```")
    display(console, update=True, md="```python\nx = 12\ny = 3\n```", plain="…")
    assert shown(out).count("```") == 2


def test_an_answer_that_is_escaped_for_a_page_is_as_it_was_written() -> None:
    out = io.StringIO()
    console = Console(out)
    display(console, md="a <")
    display(console, update=True, md="a &lt;b> c")
    assert shown(out) == "a <b> c"


def test_two_displays_never_share_a_line_and_an_unrelated_text_begins_its_own() -> None:
    out = io.StringIO()
    console = Console(out)
    display(console, plain="Asking fake:script …", html="<i>…</i>")
    display(console, update=True, plain="✓ f() → 1", html="<b>f</b>")
    display(console, key="agentnb-1-end", plain="fake:script · 1 round", html="<i>…</i>")
    assert shown(out) == "Asking fake:script …\n✓ f() → 1\nfake:script · 1 round"


def test_a_card_is_one_line() -> None:
    out = io.StringIO()
    display(Console(out), plain="✓ f() → 1\noutput:\n10 % done", html="<b>f</b>")
    assert shown(out) == "✓ f() → 1"


def test_a_table_of_the_notebook_is_shown_whole() -> None:
    out = io.StringIO()
    display(Console(out), key=None, plain="   a\n0  1", html="<table></table>")
    assert shown(out) == "   a\n0  1".strip("\n")


def test_what_is_printed_is_written_without_control_sequences() -> None:
    out = io.StringIO()
    console = Console(out)
    console.message("stream", {"name": "stdout", "text": "red \x1b[3"})
    console.message("stream", {"name": "stdout", "text": "1malert\x1b]0;title\x07\n"})
    assert shown(out) == "red alert"


def test_an_error_is_one_line() -> None:
    out = io.StringIO()
    Console(out).message("error", {"ename": "ValueError", "evalue": "no\nsuch thing", "traceback": ["…"] * 30})
    assert shown(out) == "✗ ValueError: no such thing"


def test_an_error_that_a_run_has_shown_is_not_repeated() -> None:
    out = io.StringIO()
    console = Console(out)
    display(console, plain="✗ fake:script has no turn 2.", html="<b>…</b>")
    console.message("error", {"ename": "UsageError", "evalue": "fake:script has no turn 2.", "traceback": []})
    assert shown(out) == "✗ fake:script has no turn 2."


def test_of_a_long_cell_the_head_is_shown() -> None:
    out = io.StringIO()
    Console(out).source("\n\n".join(f"line{n}" for n in range(20)), 3)
    lines = shown(out).splitlines()
    assert (lines[0], lines[1], lines[-1]) == ("[3] line0", "    line1", "    … 12 more lines")


def test_of_a_text_cell_its_heading_is_shown() -> None:
    out = io.StringIO()
    console = Console(out)
    console.heading("Words before.\n\n## 2. Data\n\nWords after.")
    console.heading("Only words.")
    assert shown(out) == "## 2. Data"


def test_progress_into_a_file_is_a_line_for_each_tenth_and_for_each_new_step() -> None:
    out = io.StringIO()
    console = Console(out)
    for done in range(101):
        console.progress("weights", done, 100)
    console.progress("weights: verified", 100, 100)
    lines = shown(out).splitlines()
    assert (lines[:2], lines[-3:], len(lines)) == (
        ["weights 0 %", "weights 10 %"],
        ["weights 90 %", "weights", "weights: verified"],
        12,
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_stays_on_its_line_and_what_follows_begins_another() -> None:
    out = Terminal()
    console = Console(out, {})
    console.progress("weights", 1, 4)
    console.progress("weights: verified", 4, 4)
    console.line("done")
    assert out.getvalue() == "\r\x1b[Kweights 25 %\r\x1b[Kweights: verified\ndone\n"


def test_on_a_terminal_there_is_colour_unless_it_is_not_wanted() -> None:
    coloured, plain = Terminal(), Terminal()
    Console(coloured, {}).problem("no")
    Console(plain, {"NO_COLOR": "1"}).problem("no")
    assert (coloured.getvalue(), plain.getvalue()) == ("\x1b[31m✗ no\x1b[0m\n", "✗ no\n")
