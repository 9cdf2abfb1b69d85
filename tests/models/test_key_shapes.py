from __future__ import annotations

import pytest

from agentnb.models.key_shapes import known_keys


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-" + "aB3_" * 10,
        "sk-ant-api03-" + "x" * 40,
        "gsk_" + "a1" * 20,
        "xai-" + "a1" * 20,
        "hf_" + "a1" * 15,
        "AIza" + "Sy" * 17,
        "AKIA" + "ABCD" * 4,
        "LTAI" + "5tABCDEF" * 2,
        "ghp_" + "a1" * 18,
        "github_pat_" + "a1" * 20,
        "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM",
    ],
)
def test_what_has_the_shape_of_a_key_is_masked(key: str) -> None:
    assert known_keys(f"key={key}, and more") == "key=[key], and more"


def test_what_follows_bearer_is_masked() -> None:
    assert known_keys("Authorization: Bearer abc.def-123456789") == "Authorization: Bearer [key]"


def test_a_key_after_a_line_that_json_ends_is_masked() -> None:
    assert known_keys(r'{"text": "mine:\nsk-0123456789abcdefghij"}') == r'{"text": "mine:\n[key]"}'


@pytest.mark.parametrize(
    "text",
    [
        "The risk-averse task-force asks for sk-learn",
        "bearer of bad news",
        "Ab/sk-0123456789abcdefghij",
        "Absk-0123456789abcdefghij",
        "hf_model",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert known_keys(text) == text
