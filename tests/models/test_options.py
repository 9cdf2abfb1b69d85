from __future__ import annotations

import pytest

from agentnb.errors import UsageError
from agentnb.models.options import Options


def test_options_are_read_by_our_names_and_by_those_of_others() -> None:
    read = Options.read(
        {"temperature": 0, "max_completion_tokens": 9, "stop": "END", "reasoning_effort": "low", "extra_body": {"a": 1}}
    )
    assert read == Options(temperature=0, max_tokens=9, stop=("END",), thinking="low", body={"a": 1})


@pytest.mark.parametrize(
    ("given", "thinking"), [(True, "on"), (False, "off"), (0, "off"), ("none", "off"), (2048, 2048), ("max", "max")]
)
def test_thinking_is_off_on_an_effort_or_a_budget(given: object, thinking: object) -> None:
    assert Options.read({"thinking": given}).thinking == thinking


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"temprature": 1}, "There is no option 'temprature'. Did you mean 'temperature'?"),
        ({"temperature": 3}, "The option 'temperature' takes a number from 0 to 2, not '3'."),
        ({"temperature": True}, "a number from 0 to 2"),
        ({"top_p": "high"}, "The option 'top_p' takes a number from 0 to 1, not 'high'."),
        ({"max_output_tokens": 0}, "The option 'max_output_tokens' takes a whole number from 1 up, not '0'."),
        ({"seed": 1.5}, "a whole number, not '1.5'"),
        ({"stop": []}, "a text, or a list of texts"),
        ({"thinking": "hard"}, "'off', 'on', a number of tokens, or one of minimal, low"),
        ({"cache": "1d"}, "'5m' or '1h'"),
        ({"stream": 1}, "true or false"),
        ({"body": [1]}, "an object"),
        ({"headers": {"x-a": 5}}, "The option 'headers' takes an object of texts"),
        ({"extra_query": {"a": None}}, "The option 'extra_query' takes an object of texts"),
    ],
)
def test_a_bad_option_is_named_with_what_it_takes(values: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        Options.read(values)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_we_have_no_word_for_is_told_how_it_goes_through() -> None:
    with pytest.raises(UsageError, match=r'To send it as it is: \{"body": \{"mirostat": "…"\}\}\.'):
        Options.read({"mirostat": 2})


def test_null_is_as_if_the_option_were_not_there() -> None:
    assert Options.read({"seed": None}) == Options()
    assert Options.read({"seed": None}).given() == {}


def test_options_go_over_others_and_the_passed_through_are_joined() -> None:
    ours = Options(temperature=0.0, body={"a": 1}, headers={"x": "1"})
    theirs = Options(temperature=1.0, seed=7, body={"a": 2, "b": 3})
    assert ours.over(theirs) == Options(temperature=0.0, seed=7, body={"a": 1, "b": 3}, headers={"x": "1"})


def test_an_option_that_a_model_does_not_have_is_refused_by_name() -> None:
    options = Options(seed=1, temperature=0.5, headers={"x": "1"}, stream=False)
    options.checked("p:m", frozenset({"seed", "temperature"}))
    with pytest.raises(UsageError, match=r"p:m has no option 'seed'. .*It has: temperature."):
        options.checked("p:m", frozenset({"temperature"}))
