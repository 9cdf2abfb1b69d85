from __future__ import annotations

import base64
import copy
import dataclasses
import json
import pickle
import traceback

import pytest

from agentnb.errors import CredentialError
from agentnb.models.credentials import Credential, Kind, from_environment
from agentnb.models.providers import Provider

SECRET = "sk-very-secret-0123456789"
ALL: list[tuple[Kind, dict[str, str]]] = [
    ("api_key", {"key": SECRET}),
    ("basic", {"user": "someone", "password": SECRET}),
    ("jwt", {"token": SECRET}),
    ("jwt", {"id": "my-id-0123456789", "secret": SECRET}),
    ("ak_sk", {"access_key": "AKID-0123456789", "secret_key": SECRET, "region": "eu-west-1", "service": "bedrock"}),
    ("custom_header", {"X-Key": SECRET, "X-Org": "organization"}),
]


def _headers(credential: Credential, key_header: str = "authorization", url: str = "https://host/v1") -> dict[str, str]:
    return credential.headers(key_header=key_header, method="POST", url=url, body=b"{}")


def _token(end: float) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": end}).encode()).decode().rstrip("=")
    return f"head.{claims}.tail"


@pytest.mark.parametrize(("kind", "secrets"), ALL)
def test_no_way_to_look_at_a_credential_shows_its_secret(kind: Kind, secrets: dict[str, str]) -> None:
    credential = Credential(secrets, kind, "SOME_KEY")
    shown = f"{credential!r} {credential} {credential.secrets} {dataclasses.asdict(credential)}"
    assert SECRET not in shown
    assert SECRET in credential.hidden
    with pytest.raises(CredentialError, match="not pickled") as raised:
        pickle.dumps(credential)
    assert SECRET not in "".join(traceback.format_exception(raised.value))
    assert copy.deepcopy(credential) == credential == copy.copy(credential)


def test_each_type_is_shown_in_its_own_headers() -> None:
    assert _headers(Credential({"key": " k-1 \n"})) == {"authorization": "Bearer k-1"}
    assert _headers(Credential({"key": "k-1"}), "x-api-key") == {"x-api-key": "k-1"}
    basic = Credential({"user": "someone", "password": "p:w"}, "basic")
    assert _headers(basic, "x-api-key") == {"authorization": "Basic c29tZW9uZTpwOnc="}
    assert basic.hidden == ("p:w", "c29tZW9uZTpwOnc=")
    assert _headers(Credential({"token": "t-1"}, "jwt"), "api-key") == {"authorization": "Bearer t-1"}
    custom = Credential({"X-Key": "k-1", "X-Auth": "Bearer k-2"}, "custom_header")
    assert _headers(custom) == {"x-key": "k-1", "x-auth": "Bearer k-2"}
    assert custom.hidden == ("k-1", "Bearer k-2", "k-2")
    assert _headers(Credential({"name": "X-Key", "value": "k-1"}, "custom_header")) == {"x-key": "k-1"}


def test_a_token_is_sent_until_it_expires_and_not_after() -> None:
    assert _headers(Credential({"token": _token(4e9)}, "jwt"))["authorization"].startswith("Bearer head.")
    with pytest.raises(CredentialError) as raised:
        _headers(Credential({"token": _token(1_700_000_000)}, "jwt", "MY_TOKEN"))
    assert str(raised.value) == ("The token in MY_TOKEN expired on 2023-11-14 at 22:13 UTC. Get a new one, and set it.")
    with pytest.raises(CredentialError, match="expired long ago"):
        _headers(Credential({"token": _token(-1e17)}, "jwt", "MY_TOKEN"))


def test_a_key_of_id_and_secret_becomes_a_new_token() -> None:
    credential = Credential({"id": "my-id", "secret": "my-secret"}, "jwt")
    scheme, _, token = _headers(credential)["authorization"].partition(" ")
    assert (scheme, token.count(".")) == ("Bearer", 2)
    assert "my-secret" not in token


def test_an_access_key_signs_each_request() -> None:
    keys = {"access_key": "AKID", "secret_key": "the-secret", "session_token": "the-session"}
    signed = _headers(Credential({**keys, "region": "eu-west-1", "service": "bedrock"}, "ak_sk"))
    assert "/eu-west-1/bedrock/aws4_request" in signed["authorization"]
    assert signed["x-amz-security-token"] == "the-session"
    by_host = _headers(
        Credential(keys, "ak_sk"), url="https://bedrock-runtime.us-west-2.amazonaws.com/model/a%3A0/converse"
    )
    assert "/us-west-2/bedrock/aws4_request" in by_host["authorization"]
    with pytest.raises(CredentialError, match="AWS_KEY says no region and service, and host does not either"):
        _headers(Credential(keys, "ak_sk", "AWS_KEY"))
    assert set(Credential({**keys, "region": "eu-west-1"}, "ak_sk").hidden) == set(keys.values())


@pytest.mark.parametrize("value", ["sk-a\nb", "sk-ä", "sk-\x1b", "sk\t1"])
@pytest.mark.parametrize(("kind", "part"), [("api_key", "key"), ("jwt", "token"), ("custom_header", "X-Key")])
def test_what_no_key_has_is_refused_unseen(kind: Kind, part: str, value: str) -> None:
    with pytest.raises(
        CredentialError, match="SOME_KEY does not hold a key: it has characters that no key has"
    ) as raised:
        Credential({part: value}, kind, "SOME_KEY")
    assert value not in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "secrets", "said"),
    [
        ("api_key", {"token": "x"}, "A credential of type api_key is made of key, not of token."),
        ("basic", {"user": "x"}, "made of password and user, not of user."),
        ("jwt", {"id": "x"}, "made of token, or id and secret, not of id."),
        ("ak_sk", {}, "made of access_key and secret_key (and region, service, session_token), not of nothing."),
        ("custom_header", {"X Key": "x"}, "is made of headers' names and their values."),
        ("custom_header", {}, "made of headers' names"),
        ("apikey", {"key": "x"}, "There is no credential type 'apikey'. Did you mean 'api_key'?"),
        ("api_key", {"key": " \n"}, "there is nothing."),
    ],
)
def test_what_is_no_credential_says_what_one_is_made_of(kind: Kind, secrets: dict[str, str], said: str) -> None:
    with pytest.raises(CredentialError) as raised:
        Credential(secrets, kind)
    assert said in str(raised.value)


def test_the_environment_is_looked_through_in_turn() -> None:
    row = Provider("kimi", "https://api.moonshot.cn/v1", key="MOONSHOT_API_KEY", key_names=("KIMI_API_KEY",))
    found = from_environment(row, {"MOONSHOT_API_KEY": "  ", "KIMI_API_KEY": " k-1\n"})
    assert found is not None
    assert (found.secrets["key"], found.where) == ("k-1", "KIMI_API_KEY")
    with pytest.raises(CredentialError) as raised:
        from_environment(row, {})
    assert str(raised.value) == (
        "No key for 'kimi': MOONSHOT_API_KEY is not set. Set it to a key for api.moonshot.cn, or store one: "
        "%credential add kimi"
    )
    assert from_environment(dataclasses.replace(row, key_required=False), {}) is None
    assert from_environment(Provider("llamacpp", "http://127.0.0.1:8080"), {"MOONSHOT_API_KEY": "k"}) is None
