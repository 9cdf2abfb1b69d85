from __future__ import annotations

import json
from email.utils import formatdate

import pytest
from inline_snapshot import snapshot

from agentnb.errors import CredentialError, RequestRefused, StreamBroken
from agentnb.models.refusal import Source, refused, refused_in_stream, retry_after

SOURCE = Source("openai", "api.openai.com", "OPENAI_API_KEY", ("sk-secret-123",))


def _refused(body: object, status: int = 400, headers: dict[str, str] | None = None) -> RequestRefused:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return refused(SOURCE, status, headers or {}, raw)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "No such thing.", "code": "nope"}},
        {"error": "No such thing"},
        {"message": "No such\nthing"},
        {"detail": "No such thing"},
        {"detail": [{"msg": "No such thing", "type": "missing"}]},
        [{"error": {"message": "No such thing", "code": 400}}],
        {"object": "error", "message": "No such thing", "code": 400},
        {"error": {"error": {"message": "No such thing"}}},
        b"<html><head><title>No such thing</title></head><body>x</body></html>",
        b"<p>No <b>such</b> thing</p>",
        b"No such thing\n",
    ],
)
def test_the_reason_is_found_in_every_shape(body: object) -> None:
    error = _refused(body)
    assert " ".join(str(error).split()) == str(error)
    assert "openai refused the request (HTTP 400): No such thing. " in str(error)
    assert error.status == 400
    assert not error.retryable


def test_a_refusal_without_a_reason_still_says_what_to_do() -> None:
    assert str(_refused(b"", 502)) == snapshot(
        "openai refused the request (HTTP 502): it gave no reason. Try again later, or choose another model."
    )


def test_the_field_that_a_server_complains_about_is_named() -> None:
    error = _refused({"detail": [{"loc": ["body", "top_k"], "msg": "Extra inputs are not permitted"}]}, 422)
    assert "body.top_k: Extra inputs are not permitted" in str(error)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_names_its_variable_and_never_the_key(status: int) -> None:
    error = _refused({"error": {"message": "Incorrect API key provided: sk-secret-123.", "code": "bad"}}, status)
    assert isinstance(error, CredentialError)
    assert "sk-secret" not in str(error)
    assert "Set OPENAI_API_KEY to a key that api.openai.com accepts" in str(error)
    assert "sk-secret" not in repr(SOURCE)


def test_a_server_that_wants_a_key_where_none_was_sent_says_how_to_name_one() -> None:
    error = refused(Source("openai", "127.0.0.1:8080"), 401, {}, b'{"error":"no"}')
    assert "--api-key-name" in str(error)


@pytest.mark.parametrize(
    ("status", "again"), [(400, False), (404, False), (408, True), (409, True), (429, True), (529, True)]
)
def test_only_what_may_pass_is_retryable(status: int, again: bool) -> None:
    assert _refused({"error": "x"}, status).retryable is again


def test_an_account_without_money_is_not_asked_again() -> None:
    error = _refused({"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}, 429)
    assert not error.retryable
    assert "Add credit" in str(error)


def test_the_servers_own_word_on_retrying_counts() -> None:
    assert not _refused({"error": "x"}, 503, {"x-should-retry": "false"}).retryable
    assert _refused({"error": "x"}, 400, {"x-should-retry": "true"}).retryable


def test_the_wait_is_read_from_milliseconds_seconds_or_a_date() -> None:
    assert retry_after({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    assert retry_after({"retry-after": "2.5"}) == 2.5
    assert retry_after({"retry-after": formatdate(usegmt=True)}) == pytest.approx(0, abs=2)
    assert retry_after({"retry-after": "Wed, 01 Jan 2020 00:00:00 GMT"}) == 0
    for nonsense in ({}, {"retry-after": "soon"}, {"retry-after": "nan"}, {"retry-after": "-1"}):
        assert retry_after(nonsense) is None


def test_control_characters_and_endless_reasons_do_not_get_through() -> None:
    text = str(_refused({"error": "\x1b[31mred " + "x" * 5000}))
    assert "\x1b" not in text
    assert len(text) < 600


def test_an_error_in_a_stream_is_a_refusal_before_anything_was_said_and_a_break_after() -> None:
    error = {"error": {"message": "Bad call", "code": "tool_use_failed", "status_code": 400}}
    before = refused_in_stream(SOURCE, error, begun=False)
    after = refused_in_stream(SOURCE, error, begun=True)
    assert (type(before), before.status, before.code) == (RequestRefused, 400, "tool_use_failed")
    assert (type(after), after.status, after.code) == (StreamBroken, 400, "tool_use_failed")
    assert refused_in_stream(SOURCE, {"message": "busy", "type": "overloaded_error"}, begun=False).retryable
    assert isinstance(refused_in_stream(SOURCE, {"message": "no", "status_code": 401}, begun=False), CredentialError)
