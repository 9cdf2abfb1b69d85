from __future__ import annotations

import base64
import json
import threading
from urllib.parse import quote, quote_plus

import pytest

from agentnb.masking import Mask

KEY = 'sk-a/b+c=d e"f\\g-0123456789'


def test_a_secret_is_replaced_wherever_it_stands() -> None:
    mask = Mask("sk-0123456789")
    assert mask("key sk-0123456789, again sk-0123456789") == "key [key], again [key]"
    assert mask("nothing here") == "nothing here"


@pytest.mark.parametrize(
    "written",
    [
        KEY,
        quote(KEY),
        quote(KEY, safe=""),
        quote_plus(KEY),
        json.dumps(KEY),
        base64.b64encode(KEY.encode()).decode(),
        base64.urlsafe_b64encode(KEY.encode()).decode().rstrip("="),
    ],
)
def test_other_ways_to_write_a_secret_are_found(written: str) -> None:
    assert Mask(KEY)(written).strip('"') == "[key]"


@pytest.mark.parametrize("user", ["a", "ab", "abc", "somebody"])
def test_a_secret_within_other_base64_is_found(user: str) -> None:
    secret = "correct-horse-battery"
    written = base64.b64encode(f"{user}:{secret}!".encode()).decode()
    masked = Mask(secret)(f"Basic {written}")
    assert "[key]" in masked
    # At most the letters that the secret shares with what surrounds it are left.
    assert len(masked) <= len("Basic [key]") + len(user) * 4 // 3 + 8


def test_short_texts_are_no_secrets() -> None:
    mask = Mask("", "abc", "12345")
    assert mask("abc 12345") == "abc 12345"


def test_the_longer_of_two_secrets_is_replaced_whole() -> None:
    assert Mask("sk-123456", "sk-123456-more")("sk-123456-more sk-123456") == "[key] [key]"


def test_json_is_masked_in_names_and_values() -> None:
    mask = Mask("sk-0123456789")
    value = {"sk-0123456789": ["x sk-0123456789", 1, None, {"a": True}]}
    assert mask.deep(value) == {"[key]": ["x [key]", 1, None, {"a": True}]}


def test_without_secrets_things_come_back_as_they_are() -> None:
    text, value = "some text", {"a": ["b"]}
    assert Mask()(text) is text
    assert Mask().deep(value) is value


def test_the_mask_itself_shows_nothing() -> None:
    assert "sk-0123456789" not in repr(Mask("sk-0123456789"))


def test_secrets_added_by_many_threads_are_all_masked() -> None:
    mask = Mask()
    secrets = [f"sk-secret-number-{i}" for i in range(50)]
    threads = [threading.Thread(target=mask.add, args=(secret,)) for secret in secrets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mask(" ".join(secrets)) == " ".join(["[key]"] * 50)
