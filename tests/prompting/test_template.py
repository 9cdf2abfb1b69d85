# ruff: noqa: E501  what is sent is shown in whole lines
from __future__ import annotations

import time

import pytest
from inline_snapshot import snapshot

from agentnb.errors import PromptError
from agentnb.prompting.template import Placeholder, Words, parse


def expressions(template: str) -> list[str]:
    return [piece.expression for piece in parse(template) if isinstance(piece, Placeholder)]


def words(template: str) -> str:
    return "".join(piece.text for piece in parse(template) if isinstance(piece, Words))


@pytest.mark.parametrize(
    "expression",
    [
        "x",
        "df.head(3)",
        "In[3]",
        '{"a": {"b": 1}}',
        "{1: {2: {3: {}}}}",
        '"}}"',
        "'}} and {{'",
        'f"{x}"',
        'f"{x}}}"',
        "{k: {v} for k, v in d.items()}",
        "(lambda x: {x: {x: 1}})(3)",
        "a if b else c",
        "x, y",
        "[i for i in range(3)]",
        "sum(\n    i\n    for i in x  # all\n)",
        "a +\nb",
        "{x}",
    ],
)
@pytest.mark.parametrize("form", ["{{%s}}", "{{ %s }}", "before {{%s}} after", "{{\n%s\n}}"])
def test_a_placeholder_holds_any_expression(expression: str, form: str) -> None:
    assert expressions(form % expression) == [expression]


def test_single_braces_are_words() -> None:
    text = r'{"a": {"b": 1}} \frac{a}{b} {x} }} {% raw %} f(}'
    assert words(text) == text


def test_braces_written_twice_are_literal() -> None:
    assert words(r"\frac{{{{a}}{{b}}}} is {{{{x}}}}") == r"\frac{{a}}{{b}} is {{x}}"
    assert words("{{{{{x}}}}}") == "{{{x}}}"
    assert expressions("{{{{x}}}} {{y}}") == ["y"]


def test_a_placeholder_inside_a_string_is_part_of_it() -> None:
    assert expressions('{{"{{x}}"}}') == ['"{{x}}"']


def message(template: str) -> str:
    with pytest.raises(PromptError) as caught:
        parse(template)
    return str(caught.value)


def test_a_broken_placeholder_is_named_and_nothing_is_sent() -> None:
    assert message("{{x y}}") == snapshot(
        "{{x y}}: not a Python expression (invalid syntax). For literal double braces write {{{{x y}}}}. Nothing was sent."
    )
    assert message("{{}}") == snapshot(
        "{{}}: there is no expression in it. For literal double braces write them twice: {{{{ … }}}}. Nothing was sent."
    )
    assert message("{{df.head(3}} and {{y}}") == snapshot(
        "{{df.head(3}}: not a Python expression ('(' was never closed). For literal double braces write {{{{df.head(3}}}}. Nothing was sent."
    )
    assert message("say {{x") == snapshot(
        "'{{x' is never closed by '}}'. For literal double braces write them twice: {{{{ … }}}}. Nothing was sent."
    )
    assert message("say {{{{x}}") == snapshot("'{{{{x}}' is never closed by '}}}}'. Nothing was sent.")
    assert message("{{x = 1}}") == snapshot(
        "{{x = 1}}: not a Python expression (invalid syntax). For literal double braces write {{{{x = 1}}}}. Nothing was sent."
    )
    assert message("{{a) + (b}}") == snapshot(
        "{{a) + (b}}: not a Python expression (unmatched ')'). For literal double braces write {{{{a) + (b}}}}. Nothing was sent."
    )


def test_a_long_text_after_an_error_takes_no_time() -> None:
    started = time.perf_counter()
    assert "not a Python expression" in message("{{a b " + "}} x" * 100_000)
    assert time.perf_counter() - started < 2
