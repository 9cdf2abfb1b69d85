from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from agentnb.models.signing import AccessKey, expiry_of, minted_token, sign_request

KEY = AccessKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "service")
NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
AWS = "https://example.amazonaws.com"


# The signatures are those that AWS publishes in its test suite, under the names in the comments.
@pytest.mark.parametrize(
    ("method", "url", "signature"),
    [
        # get-vanilla
        ("GET", f"{AWS}/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("get", f"{AWS}:443", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        # post-vanilla
        ("POST", f"{AWS}/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        # get-vanilla-query-order-key-case
        (
            "GET",
            f"{AWS}/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
    ],
)
def test_a_request_is_signed_as_aws_publishes_it(method: str, url: str, signature: str) -> None:
    headers = sign_request(KEY, method=method, url=url, body=b"", now=NOW)
    assert headers == {
        "x-amz-date": "20150830T123600Z",
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}",
    }


def test_other_headers_and_a_form_are_signed_as_aws_publishes_it() -> None:
    # post-x-www-form-urlencoded
    form = {"content-type": "application/x-www-form-urlencoded"}
    headers = sign_request(KEY, method="POST", url=f"{AWS}/", body=b"Param1=value1", now=NOW, headers=form)
    assert headers["authorization"].endswith("ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a")


def test_the_session_token_is_signed_and_sent() -> None:
    key = AccessKey(KEY.id, KEY.secret, KEY.region, KEY.service, "the-session")
    headers = sign_request(key, method="POST", url=f"{AWS}/", body=b"", now=NOW)
    assert headers["x-amz-security-token"] == "the-session"
    assert "SignedHeaders=host;x-amz-date;x-amz-security-token, " in headers["authorization"]


def test_the_body_the_path_and_the_time_zone_count() -> None:
    def signed(path: str = "/model/a%3A0/invoke", body: bytes = b"{}", now: datetime = NOW) -> str:
        return sign_request(KEY, method="POST", url=AWS + path, body=body, now=now)["authorization"]

    assert signed() != signed(body=b"{ }")
    assert signed() != signed("/model/a%3A1/invoke")
    assert signed() == signed(now=NOW.astimezone(timezone(timedelta(hours=8))))


def test_no_secret_is_shown() -> None:
    shown = repr(AccessKey("AKID", "the-secret", "r", "s", "the-session"))
    assert "the-secret" not in shown
    assert "the-session" not in shown


def _part(token: str, index: int) -> dict[str, object]:
    part = token.split(".")[index]
    decoded: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded


def test_a_token_is_minted_for_three_minutes() -> None:
    token = minted_token("my-id", "my-secret", now=1_700_000_000)
    assert _part(token, 0) == {"alg": "HS256", "sign_type": "SIGN"}
    assert _part(token, 1) == {"api_key": "my-id", "exp": 1_700_000_180_000, "timestamp": 1_700_000_000_000}
    head, _, signature = token.rpartition(".")
    expected = hmac.new(b"my-secret", head.encode(), hashlib.sha256).digest()
    assert signature == base64.urlsafe_b64encode(expected).decode().rstrip("=")
    assert expiry_of(token) == 1_700_000_180


def _token(claims: object) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.x"


@pytest.mark.parametrize(
    ("token", "end"),
    [
        (_token({"exp": 1_700_000_000}), 1_700_000_000),
        (_token({"exp": 1_700_000_000.5}), 1_700_000_000.5),
        (_token({"sub": "me"}), None),
        (_token({"exp": "tomorrow"}), None),
        (_token({"exp": True}), None),
        (_token([1]), None),
        ("opaque", None),
        ("a.b.c", None),
        ("a.%%%.c", None),
        ("..", None),
    ],
)
def test_the_end_of_a_token_is_read_where_it_has_one(token: str, end: float | None) -> None:
    assert expiry_of(token) == end
