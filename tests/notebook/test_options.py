"""The options of magics."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from agentnb.errors import UsageError
from agentnb.notebook import env_magics, files_magics, orders, session_orders, template_magics
from agentnb.notebook.options import Option, parse, usage
from tests.notebook.conftest import Notebook

OPTIONS = (
    Option("model", "the model", "m", value="NAME"),
    Option("tool", "the tools", "t", "many", "NAME"),
    Option("dry-run", "send nothing", kind="flag"),
    Option("max-rounds", "a limit", value="N"),
)


def test_values_are_read_in_every_way_people_write_them() -> None:
    parsed = parse("""-m 'a b' --tool f g,h --dry-run --max-rounds=3""", OPTIONS, "%%agent")
    assert parsed.one("model") == "a b"
    assert parsed.many("tool") == ["f", "g", "h"]
    assert parsed.has("dry-run")
    assert parsed.whole("max-rounds") == 3
    assert parsed.rest == ""


def test_a_prompt_after_the_options_stays_as_it_is_written() -> None:
    parsed = parse("""-t f,g What's "this"  --model?""", OPTIONS, "%agent", prompt=True)
    assert parsed.many("tool") == ["f", "g"]
    assert parsed.rest == """What's "this"  --model?"""


def test_json_in_quotes_is_one_value() -> None:
    assert parse("""-m '{"temperature": 0}'""", OPTIONS, "%%agent").one("model") == '{"temperature": 0}'


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no option --modle\. Did you mean '--model'\? See %%agent --help"):
        parse("--modle x", OPTIONS, "%%agent")


def test_an_option_without_its_value_says_what_it_needs() -> None:
    with pytest.raises(UsageError, match="--model of %%agent needs a value: --model NAME"):
        parse("--model", OPTIONS, "%%agent")


def test_a_number_is_a_whole_number() -> None:
    with pytest.raises(UsageError, match="--max-rounds takes a whole number, not 'many'"):
        parse("--max-rounds many", OPTIONS, "%%agent").whole("max-rounds")


def test_the_help_lists_every_option() -> None:
    text = usage("%%agent", "[options]", OPTIONS)
    assert all(f"--{option.name}" in text for option in OPTIONS)


def test_a_quote_that_is_never_closed_is_said() -> None:
    with pytest.raises(UsageError, match='The quote at "\'be" is never closed'):
        parse("-m 'be --dry-run", OPTIONS, "%%agent")
    assert parse("-m it's --dry-run", OPTIONS, "%%agent").one("model") == "it's"


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ('-i figs["a b"], np.zeros((3, 4)) c', ['figs["a b"]', "np.zeros((3, 4))", "c"]),
        ("-i 'my file, 1.png' it's.png", ["my file, 1.png", "it's.png"]),
        ("-i data:image/png;base64,AAA= b", ["data:image/png;base64,AAA=", "b"]),
        ("-i https://a.org/b,c.png", ["https://a.org/b,c.png"]),
        ("-i=f(1, 2)", ["f(1, 2)"]),
        ("-i a,,b,", ["a", "b"]),
        ("-i f(']')", ["f(']')"]),
    ],
)
def test_code_stays_together_within_its_brackets(line: str, values: list[str]) -> None:
    option = Option("image", "", "i", "many", code=True)
    assert parse(line, (option,), "%m").values == {"image": values}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("--schema dict[str, int] rest", "dict[str, int]"),
        ('--schema={"a": "b c"} rest', '{"a": "b c"}'),
        ("--schema '{\"a\": 1}' rest", '{"a": 1}'),
        ("--schema City rest", "City"),
    ],
)
def test_one_value_of_code_ends_at_a_space_outside_of_brackets(line: str, value: str) -> None:
    parsed = parse(line, (Option("schema", "", code=True),), "%m", prompt=True)
    assert (parsed.one("schema"), parsed.rest) == (value, "rest")


def test_a_bracket_that_is_never_closed_is_named() -> None:
    with pytest.raises(UsageError, match="A bracket in 'list\\[City' is never closed"):
        parse("--schema list[City", (Option("schema", "", code=True),), "%m")


@pytest.mark.parametrize(
    ("line", "verbs"),
    [
        ("%agent --help", orders.VERBS),
        ("%session --help", session_orders.VERBS),
        ("%template --help", template_magics.VERBS),
        ("%files --help", files_magics.VERBS),
        ("%agentenv --help", env_magics.VERBS),
    ],
)
def test_a_help_names_every_verb(notebook: Notebook, line: str, verbs: Sequence[str]) -> None:
    said = notebook.says(line)
    assert [verb for verb in verbs if not re.search(rf"(^%\w+ \[?|[;,] ){verb}\b", said, re.MULTILINE)] == []
