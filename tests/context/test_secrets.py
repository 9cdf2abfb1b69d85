"""What has the name or the look of a secret is taken out."""

from __future__ import annotations

import time

import pytest

from agentnb.context.secrets import guarded, is_secret


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("password = 'correct horse'", "password = '[key]'"),
        ('{"api_key": "abc123"}', '{"api_key": "[key]"}'),
        ('os.environ["MY_TOKEN"] = "abc123"', 'os.environ["MY_TOKEN"] = "[key]"'),
        ("mysql://me:pw@host/db and http://host/a@b", "mysql://[key]@host/db and http://host/a@b"),
        ("a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n", "a\n[key]"),
        ("sk-abcdefghijklmnopqrst", "[key]"),
        ("tokens = 5; sort_key = 'month'", "tokens = 5; sort_key = 'month'"),
    ],
)
def test_secrets_are_taken_out_of_texts(text: str, left: str) -> None:
    assert guarded(str, {})(text) == left


def test_what_a_variable_of_that_name_holds_is_taken_out_everywhere() -> None:
    mask = guarded(str, {"password": "correct horse", "key": "month"})
    assert mask("connect('correct horse', by='month')") == "connect('[key]', by='month')"


@pytest.mark.parametrize(
    "name", ["api_key", "OPENAI_API_KEY", "apikey", "tokens", "db_password", "client_secret", "pwd"]
)
def test_a_name_may_say_it(name: str) -> None:
    assert is_secret(name, "x")


@pytest.mark.parametrize("name", ["key", "monkey", "tokenizer", "author", "keys", "sales"])
def test_a_name_may_say_nothing(name: str) -> None:
    assert not is_secret(name, "month")


@pytest.mark.parametrize(
    "piece", ["://a:", "password", "token=", "-----BEGIN PRIVATE KEY", "x" * 50, "://", "api_key = '"]
)
def test_a_hostile_file_does_not_keep_anybody_waiting(piece: str) -> None:
    begun = time.process_time()
    guarded(str, {})((piece * 65_536)[:65_536])
    assert time.process_time() - begun < 1
