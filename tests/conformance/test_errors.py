"""Recorded refusals of vendors become typed errors: status, the vendor's words and code, whether to try again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentnb.errors import CredentialError, RequestRefused
from agentnb.models.refusal import Source, refused
from tests.conformance.conftest import cases

SOURCE = Source("vendor", "recorded", "VENDOR_KEY", ("sk-recorded",))


def _error_in(body: Any) -> dict[str, Any]:
    """The object that holds the vendor's words, whatever it is wrapped in."""
    if isinstance(body, list):
        return _error_in(body[0])
    inner = body.get("error", body)
    return _error_in(inner) if isinstance(inner, (dict, list)) and inner is not body else {"message": inner, **body}


def _code_of(error: dict[str, Any]) -> str | None:
    """A vendor's own word where it has one, else its number."""
    code = error.get("code")
    if isinstance(code, str) and code:
        return code
    for name in ("status", "type"):
        if isinstance(error.get(name), str):
            return str(error[name])
    return None if code is None else str(code)


@pytest.mark.parametrize("path", cases("transcripts/*_error/*.json"))
def test_a_recorded_refusal_keeps_its_status_its_words_and_its_code(path: Path) -> None:
    response = json.loads(path.read_bytes())["response"]
    status, body = response["status"], response["body_json"]
    raw = (response["body_text"] or "").encode() if body is None else json.dumps(body).encode()
    error = refused(SOURCE, status, {k.lower(): str(v) for k, v in response["headers"].items()}, raw)
    assert isinstance(error, RequestRefused)
    assert error.status == status
    spent = error.code == "insufficient_quota"
    assert error.retryable == (not spent and (status in (408, 409, 429) or status >= 500))
    assert status != 401 or isinstance(error, CredentialError)
    assert "\n" not in str(error)
    if body is not None:
        said = _error_in(body)
        assert " ".join(str(said["message"]).split())[:300].rstrip(".") in str(error)
        assert error.code == _code_of(said)
