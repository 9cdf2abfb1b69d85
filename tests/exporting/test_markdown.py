"""Markdown of a conversation: all of it, and nothing that runs."""

from __future__ import annotations

import base64

from inline_snapshot import snapshot
from markdown_it import MarkdownIt

from agentnb.exporting import Conversation, markdown
from agentnb.store import Store
from tests.exporting.conftest import PNG, many


def test_everything_is_in_it(full: Conversation) -> None:
    picture = base64.b64encode(PNG).decode()
    assert markdown(full).replace(picture, "PNG") == snapshot("""\
# Sums

2026-11-28 06:20 to 2026-11-28 06:21 · 2 turns · session s1

## 1

> What is {{a}} + 40?

**As the model read it**

```
What is 2 + 40?
```

![a  point ](data:image/png;base64,PNG)

**Thought**

> First I add.
> Then I say it.

**→ `add`**

```json
{
  "a": 2,
  "b": 40
}
```

**←** variable `total`

````
42 ``` of them
````

```json
{
  "sum": 42
}
```

![plot](data:image/png;base64,PNG)

**→ `delegate`**

```json
{
  "task": "look"
}
```

> **scout** · openai:small
>
> > look
>
> I **looked**.
>
> *openai:small · 1 round*

**✗**

```
nothing there
```

It is **42**.

*openai:x · 2 rounds · 120 tokens: 100 in, 20 out*

## 2

> Go on.

Half of

**✗ The connection broke.**

*openai:x · 1 round · failed*
""")


def test_a_hostile_text_stays_text(hostile: Conversation) -> None:
    reader = MarkdownIt("commonmark", {"html": True})
    tokens = [each for token in reader.parse(markdown(hostile)) for each in (token, *(token.children or ()))]
    assert not [token for token in tokens if token.type in ("html_block", "html_inline")]
    assert not [t for t in tokens if t.type == "image" and not str(t.attrs["src"]).startswith("data:")]
    assert not [t for t in tokens if t.type == "link_open" and "script" in str(t.attrs["href"])]
    assert not {"\x1b", "\x07", "\u202e"} & set(markdown(hostile))


def test_a_long_text_is_not_cut(store: Store) -> None:
    said = many(store, 1)
    assert markdown(said).count("More words of an answer.") == 40
