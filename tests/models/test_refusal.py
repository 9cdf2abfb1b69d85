from __future__ import annotations

import json
from email.utils import formatdate

import pytest
from inline_snapshot import snapshot

from agentnb.errors import CredentialError, RequestRefused, StreamBroken
from agentnb.messages import JSON
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
    error: JSON = {"error": {"message": "Bad call", "code": "tool_use_failed", "status_code": 400}}
    before = refused_in_stream(SOURCE, error, begun=False)
    after = refused_in_stream(SOURCE, error, begun=True)
    assert (type(before), before.status, before.code) == (RequestRefused, 400, "tool_use_failed")
    assert (type(after), after.status, after.code) == (StreamBroken, 400, "tool_use_failed")
    assert refused_in_stream(SOURCE, {"message": "busy", "type": "overloaded_error"}, begun=False).retryable
    assert isinstance(refused_in_stream(SOURCE, {"message": "no", "status_code": 401}, begun=False), CredentialError)


VENDORS = {
    "anthropic overloaded": (
        529,
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"},
        "overloaded_error",
        True,
    ),
    "anthropic money": (
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "Your credit balance is too low to access the API."},
        },
        "invalid_request_error",
        False,
    ),
    "gemini key": (
        400,
        {
            "error": {
                "code": 400,
                "message": "API key not valid. Please pass a valid one.",
                "status": "INVALID_ARGUMENT",
            }
        },
        "INVALID_ARGUMENT",
        False,
    ),
    "gemini busy": (
        503,
        [{"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}],
        "UNAVAILABLE",
        True,
    ),
    "dashscope money": (
        400,
        {"code": "Arrearage", "message": "Access denied, please make sure your account is in good standing."},
        "Arrearage",
        False,
    ),
    "dashscope busy": (
        429,
        {"code": "Throttling.RateQuota", "message": "Requests rate limit exceeded", "request_id": "1"},
        "Throttling.RateQuota",
        True,
    ),
    "ollama": (500, {"error": "llama runner process has terminated"}, None, True),
    "deepseek money": (
        402,
        {"error": {"message": "Insufficient Balance", "type": "unknown_error", "param": None, "code": None}},
        "unknown_error",
        False,
    ),
    "moonshot money": (
        429,
        {"error": {"message": "Your account is suspended", "type": "exceeded_current_quota_error"}},
        "exceeded_current_quota_error",
        False,
    ),
    "zhipu money": (429, {"error": {"code": "1113", "message": "余额不足或无可用资源包"}}, "1113", False),
    "minimax money": (
        200,
        {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
        "1008",
        False,
    ),
    "xai money": (
        403,
        {"code": "The caller does not have permission", "error": "Your team doesn't have any credits yet."},
        "The caller does not have permission",
        False,
    ),
    "openrouter money": (402, {"error": {"message": "Insufficient credits", "code": 402}}, "402", False),
    "aws busy": (
        400,
        {"__type": "com.amazon.coral.service#ThrottlingException", "message": "Too many requests"},
        "ThrottlingException",
        True,
    ),
    "aws": (400, {"Message": "The provided model identifier is invalid."}, None, False),
    "azure filter": (
        400,
        {"error": {"code": "content_filter", "message": "Filtered", "innererror": {"code": "ResponsibleAIPolicy"}}},
        "content_filter",
        False,
    ),
    "azure gateway": (429, {"statusCode": 429, "message": "Rate limit is exceeded."}, None, True),
    "cloudflare": (
        400,
        {"success": False, "errors": [{"code": 5004, "message": "Invalid data"}], "messages": []},
        "5004",
        False,
    ),
    "problem details": (
        404,
        {"type": "https://example.org/problems/none", "title": "Not found", "status": 404, "detail": "No such model"},
        None,
        False,
    ),
    "oauth": (
        400,
        {"error": "invalid_grant", "error_description": "The refresh token has expired."},
        "invalid_grant",
        False,
    ),
    "message outside": (400, {"error": {"code": "nope"}, "message": "No such thing"}, "nope", False),
}


@pytest.mark.parametrize("name", VENDORS)
def test_every_vendors_shape_gives_its_words_its_code_and_whether_to_try_again(name: str) -> None:
    status, body, code, again = VENDORS[name]
    error = _refused(body, status)
    assert (error.status, error.code, error.retryable) == (status, code, again)
    assert "it gave no reason" not in str(error)
    assert "\n" not in str(error)
    if "money" in name:
        assert "Add credit to the account" in str(error)
    assert isinstance(error, CredentialError) == (name == "gemini key")


TOO_LONG = [
    (400, {"error": {"code": "context_length_exceeded", "message": "Too much"}}),
    (400, "prompt is too long: 210000 tokens > 200000 maximum"),
    (400, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
    (413, {"error": {"type": "request_too_large", "message": "Request exceeds the maximum size"}}),
    (400, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."),
    (400, {"code": "InvalidParameter", "message": "Range of input length should be [1, 30720]"}),
    (400, "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"),
    (
        400,
        {"error": {"type": "exceed_context_size_error", "message": "the request exceeds the available context size"}},
    ),
    (500, {"error": "the input length exceeds the context length"}),
    (400, "Prompt contains 40000 tokens, too large for model with 32768 maximum context length"),
    (400, "Input is too long for requested model."),
    (400, "This model's maximum prompt length is 131072 but the request contains 537812 tokens."),
    (400, "Invalid request: Your request exceeded model token limit: 8192"),
    (413, {"error": {"code": "rate_limit_exceeded", "message": "Request too large: tokens per minute (TPM)"}}),
]


@pytest.mark.parametrize(("status", "said"), TOO_LONG)
def test_a_prompt_that_is_too_long_is_known_by_code_or_words(status: int, said: object) -> None:
    error = _refused(said if isinstance(said, dict) else {"error": {"message": said}}, status)
    assert "Shorten the prompt" in str(error)
    assert not error.retryable


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "max_tokens is too large: 100000. This model supports at most 4096 completion tokens"),
        (429, "Rate limit reached for tokens per minute: reduce the length of the messages"),
        (400, "Unsupported value: 'context' is no field"),
    ],
)
def test_what_only_sounds_like_a_long_prompt_is_none(status: int, said: str) -> None:
    assert "Shorten the prompt" not in str(_refused({"error": {"message": said}}, status))


def test_googles_wait_is_in_the_body() -> None:
    details: list[JSON] = [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "RequestsPerMinute"}]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"},
    ]
    body: JSON = {"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED", "details": details}}
    error = _refused(body, 429)
    assert (error.retry_after, error.retryable, error.code) == (34.07, True, "RESOURCE_EXHAUSTED")
    assert _refused(body, 429, {"retry-after": "5"}).retry_after == 5
    assert refused_in_stream(SOURCE, body, begun=False).retry_after == 34.07


def test_an_error_in_a_stream_that_has_no_status_is_known_by_its_words() -> None:
    busy: JSON = {"base_resp": {"status_code": 1002, "status_msg": "rate limit, try again later"}}
    assert refused_in_stream(SOURCE, busy, begun=False).retryable
    assert not refused_in_stream(SOURCE, {"message": "No such option"}, begun=False).retryable
    spent: JSON = {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}
    assert not refused_in_stream(SOURCE, spent, begun=True).retryable
    assert isinstance(refused_in_stream(SOURCE, {"type": "authentication_error"}, begun=False), CredentialError)
    assert "_error" in str(refused_in_stream(SOURCE, {"type": "authentication_error"}, begun=False).code)


def test_a_quota_of_the_day_is_not_asked_again() -> None:
    details = [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}, {"retryDelay": "30s"}]
    body = {"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED", "details": details}}
    error = _refused(body, 429)
    assert not error.retryable
    assert "Wait until the quota is renewed" in str(error)


def test_an_unknown_model_gets_the_nearest_name() -> None:
    body = b'{"error": {"message": "No such model", "code": "model_not_found"}}'
    error = refused(SOURCE, 404, {}, body, model="gpt5-mini", known=["gpt-5-mini", "o4"])
    assert "No such model. Did you mean 'gpt-5-mini'? Check the model's name" in str(error)
    assert "Did you mean" not in str(refused(SOURCE, 400, {}, body, model="gpt5-mini", known=["gpt-5-mini"]))


def test_a_model_that_ollama_lacks_is_fetched_by_a_command() -> None:
    source = Source("ollama", "127.0.0.1:11434")
    error = refused(source, 404, {}, b'{"error": "model \\"qwen9\\" not found, try pulling it first"}')
    assert str(error).endswith("Fetch it with: ollama pull qwen9")


@pytest.mark.parametrize(
    ("status", "page", "end"),
    [
        (502, "<html><head><title>502 Bad Gateway</title></head></html>", "Try again later, or choose another model."),
        (
            403,
            "<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>",
            "A firewall or a proxy answers in the place of api.openai.com. Check the network and the base URL.",
        ),
        (404, "<html><body><h1>Not &amp; Found</h1></body></html>", "Check the model's name and the base URL."),
        (401, "<html><title>401 Authorization Required</title></html>", "a key that api.openai.com accepts."),
    ],
)
def test_a_web_page_is_said_by_its_title_and_never_shown_whole(status: int, page: str, end: str) -> None:
    error = _refused(page.encode(), status)
    assert "<" not in str(error)
    assert str(error).endswith(end)
    assert isinstance(error, CredentialError) == (status == 401)


def test_a_proxy_that_asks_for_a_password_is_not_taken_for_the_provider() -> None:
    error = _refused(b"<html>proxy</html>", 407)
    assert str(error) == snapshot(
        "A proxy on the way to api.openai.com asks for a user and a password (HTTP 407). Write them into its address: "
        "http://USER:PASSWORD@HOST:PORT."
    )


def test_a_redirect_names_the_place_without_its_query() -> None:
    error = _refused(b"", 301, {"location": "https://login.example/start?token=abcdef"})
    assert str(error).endswith("Check the base URL: it points somewhere else, to https://login.example/start.")
    assert not error.retryable


def test_a_stored_credential_is_replaced_by_its_command() -> None:
    source = Source("openai", "api.openai.com", "the credential 'work'")
    assert "%credential add work" in str(refused(source, 401, {}, b"{}"))
    assert "Use a key that" in str(refused(Source("openai", "x", "the argument"), 401, {}, b"{}"))


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":' * 500 + b"1" + b"}" * 500,
        b"[" * 900 + b"]" * 900,
        b'{"status": "' + b"9" * 5000 + b'"}',
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b'{"error": [], "message": {"a": 1}}',
        b'{"details": [1, {"retryDelay": "xs"}, {"violations": [1]}], "error": {"message": null}}',
        b"<html" + b"<" * 50_000,
        b"<title>" * 10_000,
    ],
)
@pytest.mark.parametrize("status", [300, 400, 403, 429, 599])
def test_hostile_bodies_are_refusals_of_one_line(status: int, body: bytes) -> None:
    error = refused(SOURCE, status, {}, body)
    assert error.status == status
    assert "\n" not in str(error)
    assert len(str(error)) < 700


def test_a_date_beyond_all_calendars_asks_for_no_wait() -> None:
    assert retry_after({"retry-after": "1 Jan 2020 10:10:10 +99999999999999"}) is None
