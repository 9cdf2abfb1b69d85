from __future__ import annotations

import pytest
from inline_snapshot import snapshot

from agentnb.builtins.readable import readable

PAGE = """<!DOCTYPE html><html><head><title>A  page</title><style>p {color: red}</style>
<script>alert("<p>no</p>")</script>
</head><body><nav><a href="/">Home</a> <a href="#top">Up</a></nav>
<h1>Penguins &amp; more</h1><p>They   live
in <b>the south</b>.<br>Read <a href="more.html"> all <i>of</i> it</a>.</p>
<ul><li>Adelie<li>Gentoo<ol><li>one</li><li>two</li></ol></ul>
<table><tr><th>name</th><th>mass</th></tr><tr><td>a</td><td>3</td></tr></table>
<pre>x = 1
  y = 2</pre><img src=x alt="A bird"><template>hidden</template><svg><text>hidden</text></svg>
<a href="javascript:evil()">click</a><hr>end</body></html>"""


def test_a_page_becomes_text_with_its_links() -> None:
    assert readable(PAGE, "https://example.org/a/b.html") == snapshot("""\
A page

[Home](https://example.org/) Up

# Penguins & more

They live in the south.
Read [all of it](https://example.org/a/more.html).

- Adelie
- Gentoo

  1. one
  2. two

name | mass
a | 3

x = 1
  y = 2

[image: A bird] click

---

end\
""")


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<",
        "<a href='x",
        "<p" * 1_000,
        "</a></ul></pre></script>",
        "<a href='http://[bad'>x</a>",
        "<!--",
        "&#xffffffff;",
    ],
)
def test_broken_pages_break_nothing(page: str) -> None:
    assert len(readable(page, "http://x/")) <= len(page) + 20


def test_deep_nesting_is_no_trouble() -> None:
    assert readable("<ul><li>" * 20_000 + "deep", "http://x/").endswith("deep")


@pytest.mark.parametrize("page", ["<a href=x>" * 100_000, "<pre>" + " " * 1_000_000, "\n" * 500_000, "<li>" * 100_000])
def test_hostile_pages_take_no_longer_than_others(page: str) -> None:
    assert isinstance(readable(f"{page}<p>end", "http://x/"), str)
