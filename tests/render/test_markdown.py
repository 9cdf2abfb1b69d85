"""A model's Markdown in front ends that would run what it says."""

from __future__ import annotations

import random
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt
from nbconvert.filters.markdown_mistune import markdown2html_mistune

from agentnb.render.markdown import fenced, safe

# Pieces that, put together, have confused one front end or another.
PIECES = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<b>",
    "</b>",
    "<!-- x -->",
    "<?php ?>",
    "<svg/onload=alert(1)>",
    "`",
    "``",
    "```",
    "````",
    "~~~",
    "\n",
    "\n\n",
    "\n   ",
    "\n\t",
    "    ",
    "> ",
    "- ",
    "1. ",
    "$",
    "$$",
    "\\(",
    "\\)",
    "\\[",
    "\\]",
    "\\",
    "`a`",
    "text ",
    "a<b",
    "x < y ",
    "[a]",
    "(",
    ")",
    "[",
    "]",
    "!",
    ":",
    "* ",
    "# ",
    "[x](javascript:alert(1))",
    "[x]( JaVa&#115;cript:alert(1))",
    "[a]: javascript:x\n",
    "![i](http://leak/x.png)",
    "![a][a]",
    "<javascript:alert(1)>",
    "<https://ok.example>",
    "[ok](https://ok.example)",
    "javascript:alert(1)",
    "&lt;script&gt;",
    "***",
    "\\begin{align}",
    "\\end{align}",
    "python\n",
    "&Tab;",
    "\\`",
    "[x](<javascript:alert(1)>)",
    "[x](\njava\nscript:alert(1))",
    "http://a",
    "[x](vbscript:x)",
    "[x](&#x6A;avascript:alert(1))",
    "[x](\\javascript:alert(1))",
    "data:text/html,x",
    "www.a.example",
    "a@b.c",
    "|a|b|\n|-|-|\n",
    "|",
]


class Found(HTMLParser):
    """What a page would run, load or follow."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.bad: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        targets = ["".join(c for c in v or "" if c > " ").lower() for k, v in attrs if k in ("href", "src")]
        if tag in ("script", "img", "svg", "b") or any(k.startswith("on") for k, _ in attrs):
            self.bad.append(tag)
        self.bad += [t for t in targets if t.startswith(("javascript:", "vbscript:", "data:"))]

    def handle_comment(self, data: str) -> None:
        self.bad.append(f"comment {data}")


def commonmark(text: str) -> str:
    """CommonMark with HTML allowed, and no filter of links."""
    reader = MarkdownIt("commonmark", {"html": True})
    reader.validateLink = bool  # type: ignore[method-assign, assignment]
    return str(reader.render(text))


def with_tables(text: str) -> str:
    """The same with tables."""
    reader = MarkdownIt("commonmark", {"html": True}).enable("table")
    reader.validateLink = bool  # type: ignore[method-assign, assignment]
    return str(reader.render(text))


def in_nbconvert(text: str) -> str:
    """As nbconvert puts it into a page."""
    try:
        return str(markdown2html_mistune(text))
    except IndexError:  # it stumbles over a fence with a blank info string
        return ""


@pytest.mark.parametrize("render", [commonmark, with_tables, in_nbconvert])
@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "a <b onclick=alert(1)>x</b>",
        "<!-- hidden -->",
        "<?xml ?> <![CDATA[ x ]]>",
        "| a |\n|---|\n| <script>x</script> |",
        "- item\n\n  <div onload=x>",
        "> <script>\n> x",
        "[x](javascript:alert(1))",
        "[x]( java&#115;cript:alert(1))",
        "[x](JAVASCRIPT&colon;alert(1))",
        "[x](java\\&Tab;script:alert(1))",
        "[x](<javascript:alert(1)>)",
        "[x](< javascript:alert(1)>)",
        "[x](\njavascript:alert(1))",
        "> [x](\n> javascript:alert(1))",
        "[x][1]\n\n[1]: javascript:alert(1)",
        "[x][1]\n\n[1]:\n  vbscript:x",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "<javascript:alert(1)>",
        "![x](https://leak.example/x.png)",
        "!!![x](https://leak.example/x.png)",
        "![x][1]\n\n[1]: https://leak.example/x.png",
        "![x](data:image/svg+xml,<svg/onload=alert(1)>)",
        "\\`<b>` x",
        "`a\n<b>`\n`<b>",
        "http://a`<b>`",
        "```\ncode\n```\n<b>",
        "> ```\n> a\n<b>",
        "`![x]`\n`![x] `\n\n[x]: https://leak.example/x.png",
        "`a | <b>` |\n|-|-|\n| `<b> | <b>` |",
    ],
)
def test_what_is_hostile_is_text(hostile: str, render: object) -> None:
    assert callable(render)
    assert Found(render(safe(hostile))).bad == []


@pytest.mark.parametrize("seed", range(4))
def test_no_mixture_of_hostile_pieces_gets_through(seed: int) -> None:
    rnd = random.Random(seed)
    for _ in range(250):
        text = "".join(rnd.choices(PIECES, k=rnd.randint(2, 14)))
        shown = safe(text)
        assert Found(commonmark(shown)).bad == [], text
        assert Found(with_tables(shown)).bad == [], text
        assert Found(in_nbconvert(shown)).bad == [], text


def test_math_that_swallows_a_code_mark_lets_no_html_out() -> None:
    # A front end that takes math out first sees `@ <img ...>` here, not code.
    shown = safe("$a\n ```\n$ <img src=x onerror=alert(1)>\n ```")
    assert "<img" not in shown
    assert "<img" not in safe("$ ` $ <img\nsrc=x onerror=alert(1)> `")


@pytest.mark.parametrize(
    "harmless",
    [
        "# Title\n\nSome *text* and **more**, a < b, x <- y, 3 <4.\n",
        "```html\n<div class='a'>\n![x](y)\n</div>\n```\n",
        "Use `<div>` or `List[int]` and `vec![1]`.\n",
        "| a | b |\n|---|:-:|\n| 1 | `<b>` |\n",
        "$$\n\\frac{a}{b} < c\n$$\n",
        "```mermaid\ngraph TD; A-->B\n```\n",
        "[page](https://example.org/a_b?c=d#e) [mail](mailto:a@b.example) [here](#top) [file](data/x.csv)\n",
        "1. ```py\n   if a<b: ...\n   ```\n",
        "Costs $5, or $10.\n",
    ],
)
def test_ordinary_markdown_passes_untouched(harmless: str) -> None:
    assert safe(harmless) == harmless


def test_html_is_shown_as_it_was_written() -> None:
    assert safe("a <b>x</b>") == "a &lt;b>x&lt;/b>"
    assert safe("$a<b$") == "$a< b$"


def test_a_remote_picture_becomes_a_link() -> None:
    assert safe("![a chart](https://example.org/c.png)") == "[a chart](https://example.org/c.png)"


def test_a_fence_left_open_is_closed() -> None:
    assert safe("```py\nx = 1") == "```py\nx = 1\n```"


def test_a_code_block_outlasts_the_fences_within() -> None:
    assert fenced("a\n````\nb", "md") == "`````md\na\n````\nb\n`````\n"


def test_a_page_of_backticks_is_read_in_no_time() -> None:
    text = " ".join("`" * (n % 90 + 1) for n in range(4000))
    assert Found(commonmark(safe(text + "<b>"))).bad == []
