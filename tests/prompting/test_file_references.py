"""`<file>path</file>` in a prompt: what the person wrote is a file, what a value holds is words."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from inline_snapshot import snapshot

from agentnb.errors import PromptError
from agentnb.messages import Image, Text
from agentnb.prompting import Filled, fill

PNG = Image(b"\x89PNG\r\n\x1a\n", alt="p.png")
FILES: Mapping[str, str | Image] = {
    "data/a.csv": "a,b\n1,2\n",
    "b.py": "print('```')",
    "dir/my plot.png": PNG,
    "empty.txt": "",
    "long.log": "line of a log\n" * 10_000,
    "tricky.md": "{{secret}} <file>b.py</file>",
}


def read(path: str) -> str | Image:
    if path not in FILES:
        raise PromptError(f"There is no {path!r}.")
    return FILES[path]


def filled(template: str, **namespace: object) -> Filled:
    return fill(template, namespace, files=read)


def text(template: str, **namespace: object) -> str:
    (block,) = filled(template, **namespace).content
    assert isinstance(block, Text)
    return block.text


def test_a_text_goes_below_its_paragraph_under_its_path() -> None:
    assert text("What is in <file> data/a.csv </file> and <file>b.py</file>?\n\nBe short.") == snapshot("""\
What is in `data/a.csv` and `b.py`?

`data/a.csv`:
```csv
a,b
1,2
```

`b.py`:
````py
print('```')
````

Be short.\
""")


def test_a_text_alone_on_its_line_stands_there() -> None:
    assert text("Look:\n<file>data/a.csv</file>\nWell?") == snapshot("""\
Look:
`data/a.csv`:
```csv
a,b
1,2
```
Well?\
""")


def test_a_picture_has_words_in_its_place_and_is_sent() -> None:
    assert filled("Is <file>dir/my plot.png</file> red?\n\nSay so.").content == (
        Text("Is [Image file attached: dir/my plot.png] red?"),
        PNG,
        Text("Say so."),
    )
    assert filled("<file>dir/my plot.png</file>").content == (Text("[Image file attached: dir/my plot.png]"), PNG)


def test_a_file_named_twice_is_sent_once() -> None:
    assert text("<file>b.py</file> or <file>b.py</file>").count("print") == 1
    assert text("<file>b.py</file>\n<file>b.py</file>").endswith("`b.py` (see above)")


def test_what_a_value_holds_is_never_a_file() -> None:
    assert text("{{x}}", x="<file>b.py</file>") == "<file>b.py</file>"
    assert text("<file>{{x}}</file>", x="b.py") == "<file>b.py</file>"


def test_what_a_file_holds_is_neither_a_placeholder_nor_a_file() -> None:
    assert text("<file>tricky.md</file>", secret="no") == "`tricky.md`:\n```md\n{{secret}} <file>b.py</file>\n```"


def test_words_and_expressions_with_such_tags_stay_what_they_are() -> None:
    assert fill("<file>b.py</file>", {}).content == (Text("<file>b.py</file>"),)
    assert text("<file></file> <file>a<b></file> </file>") == "<file></file> <file>a<b></file> </file>"
    assert text("{{'<file>b.py</file>'}}") == "<file>b.py</file>"
    assert text("{{{{<file>b.py</file>}}}}") == "{{<file>b.py</file>}}"


def test_an_odd_path_breaks_no_fence() -> None:
    assert fill("<file>a.`x\ny</file>", {}, files=lambda _: "text").content == (Text("`a.`x y`:\n```\ntext\n```"),)


def test_an_empty_file_is_said_to_be_empty() -> None:
    assert text("<file>empty.txt</file>") == "`empty.txt` (empty file)"


def test_a_long_text_is_cut_with_a_mark_within_the_budget_of_all() -> None:
    made = fill("<file>long.log</file>\n{{other}}", {"other": "x" * 40_000}, budget=1000, files=read)
    (block,) = made.content
    assert isinstance(block, Text)
    assert len(block.text) < 5_000
    assert [cut.partition(":")[0] for cut in made.cuts] == ["other", "<file>long.log</file>"]


def test_each_file_has_a_hash_among_the_variables() -> None:
    assert set(filled("<file>b.py</file> {{n}}", n=1).variables) == {"n", "<file>b.py</file>"}


def test_a_file_that_cannot_be_read_sends_nothing() -> None:
    with pytest.raises(PromptError, match=r"^<file>x</file>: There is no 'x'\. Nothing was sent\.$"):
        filled("<file>x</file>")


def test_a_file_in_a_fence_or_in_brackets_leaves_them_whole() -> None:
    assert text("```\n<file>b.py</file>\n```") == snapshot("""\
```
`b.py`
```

`b.py`:
````py
print('```')
````\
""")
    assert text("(<file>empty.txt</file>)") == "(`empty.txt`)\n\n`empty.txt` (empty file)"
