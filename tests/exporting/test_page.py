"""The page of a conversation: whole, closed in itself, and harmless."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from inline_snapshot import snapshot

from agentnb.exporting import Conversation, gathered, page
from agentnb.store import Store
from tests.exporting.conftest import many

_VOID = {"meta", "img", "br", "hr", "link", "input"}


class Reader(HTMLParser):
    """Tags, their attributes, and whether each is closed."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def _body(source: str) -> str:
    """What is shown, without the styles."""
    body = source[source.index("<main>") :]
    return re.sub(r' style="[^"]*"|(?<=base64,)[A-Za-z0-9+/=]+', "", body).replace("><", ">\n<")


def test_everything_is_in_it(full: Conversation) -> None:
    assert _body(page(full)) == snapshot("""\
<main>
<h1>Sums</h1>
<div class="about">2026-11-28 06:20 to 2026-11-28 06:21 · 2 turns · session s1</div>
<section id="turn-1">
<a class="number" href="#turn-1">1</a>
<div class="prompt">What is {{a}} + 40?</div>
<details class="sent">
<summary>As the model read it</summary>
<pre>
<code>What is 2 + 40?</code>
</pre>
</details>
<p>
<img src="data:image/png;base64," alt="a [point]">
</p>
<div>
<details>
<summary>
<span>Thought</span>
</summary>
<div>First I add.
Then I say it.</div>
</details>
</div>
<div>
<details>
<summary>
<span>✓</span> <span>add(a=2, b=40)</span> <span>→</span> <span>42 ``` of them</span>
</summary>
<div>arguments</div>
<pre>a: 2
b: 40</pre>
<div>result</div>
<pre>variable total
42 ``` of them
{
  &quot;sum&quot;: 42
}
[image/png, 70 bytes]</pre>
</details>
</div>
<div>
<details open>
<summary>
<span>✗</span> <span>delegate(task=&#x27;look&#x27;)</span>
</summary>
<div>arguments</div>
<pre>task: look</pre>
<div>scout · openai:small</div>
<div>I **looked**.</div>
<div>error</div>
<pre>nothing there</pre>
</details>
</div>
<p>
<img src="data:image/png;base64," alt="plot">
</p>
<p>It is <strong>42</strong>.</p>

<div>openai:x · 2 rounds · 120 tokens: 100 in, 20 out</div>
</section>
<section id="turn-2">
<a class="number" href="#turn-2">2</a>
<div class="prompt">Go on.</div>
<p>Half of</p>

<div>
<span>✗</span> The connection broke.</div>
<div>openai:x · 1 round · failed</div>
</section>
</main>
</body>
</html>
""")


def test_it_needs_nothing_from_anywhere_and_runs_nothing(hostile: Conversation) -> None:
    read = Reader(page(hostile))
    assert not read.wrong
    assert not read.open
    assert not {"script", "iframe", "link", "object", "form", "base"} & {tag for tag, _ in read.tags}
    for tag, attributes in read.tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("src") or "data:").startswith("data:")
        assert re.match(r"(https?:|mailto:|#|$)", attributes.get("href") or "")
        assert tag != "img" or attributes["src"]
    assert not {"\x1b", "\x07", "\u202e"} & set(page(hostile))


def test_whatever_got_into_it_may_load_nothing(full: Conversation) -> None:
    policy = next(a["content"] for t, a in Reader(page(full)).tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; form-action 'none'"


def test_many_turns_have_a_list_of_them(store: Store) -> None:
    assert ("a", {"href": "#turn-4"}) in Reader(page(many(store, 4))).tags
    store.sessions.revoke("s1", 3)
    assert ("a", {"href": "#turn-3"}) not in Reader(page(gathered(store, "s1"))).tags
