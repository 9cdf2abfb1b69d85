# ruff: noqa: E501  what is sent is shown in whole lines
from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from agentnb.errors import PromptError
from agentnb.messages import Image, Text
from agentnb.prompting import Filled, estimate_tokens, fill, to_blocks
from tests.prompting.penguins import penguins

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8 + b"\0\0\0\1" * 2


def text(template: str, budget: int = 4000, **namespace: object) -> str:
    filled = fill(template, namespace, budget=budget)
    assert all(isinstance(block, Text) for block in filled.content)
    return "".join(block.text for block in filled.content if isinstance(block, Text))


def message(template: str, **namespace: object) -> str:
    with pytest.raises(PromptError) as caught:
        fill(template, namespace)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_prompt_without_placeholders_goes_as_it_is() -> None:
    assert fill('\n  {"a": 1} {x}\n\n', {}) == Filled((Text('  {"a": 1} {x}\n'),), {}, ())


def test_short_values_stay_in_the_sentence() -> None:
    assert text("{{n + 1}} of {{who}}: {{xs}}, {{None}}, {{0.1}}.", n=3, who="us", xs=[1, "a"]) == (
        '4 of us: [1, "a"], None, 0.1.'
    )


def test_a_value_never_injects_another_placeholder() -> None:
    assert text("{{a}} {{b}}", a="{{b}}", b="{{{{a}}}} {{a}}") == "{{b}} {{{{a}}}} {{a}}"


def test_a_table_in_a_sentence_is_shown_below_its_paragraph() -> None:
    prompt = "\nWhich species is heaviest in {{sales}},\nand by how much?\n\nAnswer about `sales` in {{words}} words.\n"
    assert text(prompt, budget=220, sales=penguins(), words=10) == snapshot("""\
Which species is heaviest in `sales`,
and by how much?

`sales` (DataFrame, 344 rows × 5 columns):
- species (str): 3 values: Adelie 115, Chinstrap 115, Gentoo 114
- bill_mm (float64): 32.1 to 59.5, mean 45.7416
- mass_g (float64, 7 nulls): 2700 to 6300, mean 4489.39
- sex (str, 7 nulls): 2 values: male 172, female 165
- year (int64): 2007 to 2009, mean 2008

15 rows, evenly spread (… 329 of 344 rows left out …):
```csv
species,bill_mm,mass_g,sex,year
Adelie,32.1,2700,male,2007
Adelie,36.8,3900,female,2008
Adelie,44.7,4675,male,2007
Adelie,58.9,4625,female,2009
Adelie,34,6100,male,2008
Chinstrap,36.6,3950,female,2007
Chinstrap,48.2,6050,female,2007
Chinstrap,43.4,4875,male,2007
Chinstrap,47.6,4325,male,2008
Chinstrap,57.6,4825,female,2009
Gentoo,54.9,3375,male,2008
Gentoo,51.7,3800,male,2007
Gentoo,52.7,3675,male,2007
Gentoo,40.5,,female,2008
Gentoo,36.2,4050,female,2008
```

Answer about `sales` in 10 words.\
""")


def test_a_table_on_its_own_line_is_shown_there() -> None:
    assert text("Data:\n{{df.head(2)}}\nThanks.", df=penguins()) == snapshot("""\
Data:
`df.head(2)` (DataFrame, 2 rows × 5 columns):
Columns: species (str), bill_mm (float64), mass_g (float64), sex (str), year (int64)
```csv
species,bill_mm,mass_g,sex,year
Adelie,32.1,2700,male,2007
Adelie,35.8,4025,female,2008
```
Thanks.\
""")
    assert text("Data: {{df.head(2)}}\nThanks.", df=penguins()) == text("Data:\n{{df.head(2)}}\nThanks.", df=penguins())


def test_a_large_value_is_sent_once() -> None:
    both = text("{{cfg}}\n\nagain {{cfg}}\n\n{{cfg}}", cfg=list(range(300)))
    assert both.count("298") == 1
    assert both.endswith("again `cfg`\n\n`cfg` (see above)")


def test_text_goes_in_verbatim_where_the_author_made_room_for_it() -> None:
    two = "one\ntwo"
    for prompt in ("{{t}}", "Text:\n\n{{t}}\n", "<doc>{{t}}</doc>", '"{{t}}"', "```\n{{t}}\n```", "Text: {{t}}"):
        expected = prompt.removesuffix("\n").replace("{{t}}", two)
        assert text(prompt, t=two) == expected


def test_text_of_several_lines_leaves_a_sentence_whole() -> None:
    assert text("Explain {{In[1]}} to me.\nBriefly.\n\nThanks", In=["", "x = 1\ny = 2"]) == snapshot("""\
Explain `In[1]` to me.
Briefly.

`In[1]`:
```
x = 1
y = 2
```

Thanks\
""")


def test_json_in_a_fence_or_in_tags_has_no_label() -> None:
    cfg = {f"key{i}": "value" * 3 for i in range(6)}
    fenced = text("```json\n{{cfg}}\n```", cfg=cfg)
    assert fenced.startswith('```json\n{\n  "key0"')
    assert text("<cfg>{{cfg}}</cfg>", cfg=cfg).startswith("<cfg>{\n")


def test_a_paragraph_inside_a_fence_is_not_torn_apart() -> None:
    prompt = "Use {{t}} here:\n```python\na\n\nb\n```\n\nEnd"
    assert text(prompt, t="1\n2") == "Use `t` here:\n```python\na\n\nb\n```\n\n`t`:\n```\n1\n2\n```\n\nEnd"


def test_pictures_stand_where_the_prompt_puts_them() -> None:
    picture = Image(PNG, alt="Figure, 1 × 1 pixels")
    assert fill("Look:\n{{p}}\n\nThen say {{w}}.", {"p": picture, "w": "so"}).content == (
        Text("Look:\n`p` (Figure, 1 × 1 pixels):"),
        picture,
        Text("Then say so."),
    )
    assert fill("Is {{p}} red?\nOr blue?", {"p": picture}).content == (
        Text("Is `p` red?\nOr blue?\n\n`p` (Figure, 1 × 1 pixels):"),
        picture,
    )
    assert fill("{{p}}", {"p": Image(PNG)}).content == (Text("`p` (Image):"), Image(PNG))


def test_an_expression_is_evaluated_once_and_changes_nothing() -> None:
    seen: list[int] = []
    namespace: dict[str, object] = {"f": lambda: seen.append(1) or len(seen)}
    assert text("{{f()}} {{f()}} {{(y := 7)}}", **namespace) == "1 1 7"
    fill("{{(y := 7)}}", namespace)
    assert set(namespace) == {"f"}


def test_names_resolve_in_comprehensions_and_lambdas() -> None:
    assert text("{{[k * i for i in range(3)]}} {{(lambda: k)()}} {{len('ab')}}", k=2) == "[0, 2, 4] 2 2"


def test_an_undefined_name_names_the_nearest_and_nothing_is_sent() -> None:
    assert message("{{slaes}}", sales=1) == snapshot(
        "{{slaes}}: there is no variable 'slaes'. Did you mean 'sales'? Nothing was sent."
    )
    assert message("{{lenn(x)}}", x=1) == snapshot(
        "{{lenn(x)}}: there is no variable 'lenn'. Did you mean 'len'? Nothing was sent."
    )
    assert message("{{zzqq}}") == snapshot(
        "{{zzqq}}: there is no variable 'zzqq'. For literal double braces write {{{{zzqq}}}}. Nothing was sent."
    )
    assert message(r"\frac{{a}}{{b}}", alpha=1) == snapshot(
        "{{a}}: there is no variable 'a'. For literal double braces write {{{{a}}}}. Nothing was sent."
    )


def test_a_failing_expression_is_told_in_one_line() -> None:
    df = penguins(3)
    assert message("{{df.specie}}", df=df) == snapshot(
        "{{df.specie}}: AttributeError: 'DataFrame' object has no attribute 'specie'. Did you mean 'species'? Nothing was sent."
    )
    assert message("{{df['specie']}}", df=df) == snapshot(
        "{{df['specie']}}: KeyError: 'specie'. Did you mean 'species'? Nothing was sent."
    )
    assert message("{{d['x']}}", d={"y": 1}) == snapshot("{{d['x']}}: KeyError: 'x'. Nothing was sent.")
    assert message("{{1/0}}") == snapshot("{{1/0}}: ZeroDivisionError: division by zero. Nothing was sent.")
    assert message("{{f()}}", f=_raise(ValueError("two\nlines"))) == snapshot(
        "{{f()}}: ValueError: two lines. Nothing was sent."
    )
    assert message("{{f()}}", f=_raise(NameError("name 'q' is not defined", name="q"))) == snapshot(
        "{{f()}}: NameError: name 'q' is not defined. Nothing was sent."
    )


def _raise(error: Exception) -> Callable[[], None]:
    def function() -> None:
        raise error

    return function


def test_a_failure_at_the_end_still_sends_nothing() -> None:
    assert "missing" in message("{{a}} {{missing}}", a=1)


class Molecule:
    smiles = "CCO"


def test_users_teach_to_blocks_their_classes() -> None:
    to_blocks.register(Molecule)(lambda m, budget: (Text(f"{m.smiles} within {budget}"),))
    assert text("Is {{m}} polar?", m=Molecule()) == "Is CCO within 4000 polar?"


def test_a_renderer_that_fails_or_returns_no_blocks_is_named() -> None:
    to_blocks.register(Molecule)(lambda _m, _budget: 1 / 0)
    assert message("{{m}}", m=Molecule()) == snapshot(
        "{{m}}: a Molecule that cannot be shown: ZeroDivisionError: division by zero. Nothing was sent."
    )
    to_blocks.register(Molecule)(lambda _m, _budget: "CCO")
    assert message("{{m}}", m=Molecule()) == snapshot(
        "{{m}}: what is registered for Molecule must return a tuple of blocks such as (Text('…'),). Nothing was sent."
    )


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def test_a_broken_repr_does_not_break_the_prompt() -> None:
    assert "its repr raised RuntimeError" in text("{{[b]}}", b=Broken())


def test_a_missing_file_sends_nothing() -> None:
    assert message("{{p}}", p=Path("/no-such-directory/x.csv")).startswith("{{p}}: No file '/no-such-directory/x.csv'.")


def test_large_values_share_what_small_ones_leave() -> None:
    filled = fill("{{a}}\n{{b}}\n{{c}}", {"a": "x" * 40_000, "b": "y" * 40_000, "c": "z" * 400}, budget=1000)
    (block,) = filled.content
    assert isinstance(block, Text)
    assert 900 <= estimate_tokens(filled.content) <= 1100
    assert block.text.count("z") == 400
    assert 0.8 < block.text.count("x") / block.text.count("y") < 1.25


def test_every_cut_is_reported_and_only_those_made_here() -> None:
    filled = fill("{{a}}\n{{b}}", {"a": "x" * 10_000, "b": "… 5 of 6 rows left out …"}, budget=500)
    assert filled.cuts == snapshot(("a: 8,050 of 10,000 characters left out",))


def test_provenance_is_the_hash_of_what_was_sent() -> None:
    filled = fill("{{a}} {{p}} {{a}}", {"a": "day", "p": Image(PNG)})
    assert filled.variables == {"a": hashlib.sha256(b"day").hexdigest(), "p": hashlib.sha256(PNG).hexdigest()}


def test_a_lone_surrogate_which_no_json_carries_is_replaced() -> None:
    filled = fill("{{name}} {{[name]}}", {"name": "caf\udce9"})
    assert json.dumps(filled.content[0].text, ensure_ascii=False).encode()
