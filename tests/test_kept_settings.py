"""Models and servers are kept as they were written, and no key with them."""

from __future__ import annotations

import json

import pytest

from agentnb.errors import UsageError
from agentnb.kept_settings import MadeModel, model_body, read_model, revealed, server_body, without_grants
from agentnb.masking import Mask
from agentnb.messages import JSON, JSONObject
from agentnb.models.fake import FakeModel
from agentnb.models.options import Options

MASK = Mask("hunter2-hunter2")


def test_a_model_comes_back_as_it_was_written() -> None:
    made = MadeModel(
        "openai:a",
        {"retries": "3", "fallback": ["groq:b"]},
        Options(temperature=0),
        "http://h/v1",
        "work",
        5.0,
    )
    assert read_model(model_body("fast", made, MASK)) == made
    assert read_model(model_body("quick", MadeModel(alias="fast"), MASK)).alias == "fast"
    assert made.words == "openai:a, retries 3, fallback groq:b"


def test_headers_of_a_model_are_not_kept_and_a_key_elsewhere_is_refused() -> None:
    body = model_body("m", MadeModel("openai:a", options=Options(headers={"x": "hunter2-hunter2"})), MASK)
    assert "hunter2" not in json.dumps(body)
    with pytest.raises(UsageError, match="A key stands in 'm'"):
        model_body("m", MadeModel("openai:a", api_base="http://u:hunter2-hunter2@h"), MASK)
    with pytest.raises(UsageError, match="objects of this notebook"):
        model_body("m", MadeModel("openai:a", {"fallback": [FakeModel(["x"])]}), MASK)


def test_rubbish_is_passed_over_in_what_was_kept() -> None:
    assert read_model({"base": 3, "settings": [], "connect": "x", "other": 1}) == MadeModel()


def test_secrets_of_a_server_become_variables() -> None:
    written: JSONObject = {
        "command": "serve",
        "env": {"API_TOKEN": "abc", "PLAIN": "1", "OWN": "${env:OWN_NAME}", "HIDDEN": "hunter2-hunter2"},
        "headers": {"Authorization": "Bearer x", "Accept": "*/*"},
    }
    body, asked = server_body("my-files", written, MASK)
    assert body["env"] == {
        "API_TOKEN": "${env:API_TOKEN}",
        "PLAIN": "1",
        "OWN": "${env:OWN_NAME}",
        "HIDDEN": "${env:HIDDEN}",
    }
    assert body["headers"] == {"Authorization": "${env:MY_FILES_AUTHORIZATION}", "Accept": "*/*"}
    assert asked == ["API_TOKEN", "HIDDEN", "MY_FILES_AUTHORIZATION", "OWN_NAME"]


@pytest.mark.parametrize("value", [["--key=hunter2-hunter2"], ["sk-abcdefghijklmnopqrstuvwxyz"]])
def test_a_key_among_the_arguments_is_refused(value: JSON) -> None:
    with pytest.raises(UsageError, match=r"A key stands in the settings of 's'.*\$\{env:NAME\}"):
        server_body("s", {"command": "x", "args": value}, MASK)


def test_an_object_has_no_settings_and_grants_do_not_travel() -> None:
    with pytest.raises(UsageError, match="an object of this notebook"):
        server_body("s", {}, MASK)
    assert without_grants({"command": "x", "alwaysAllow": ["a"], "approval": "always"}) == {"command": "x"}


def test_a_model_of_an_agents_runtime_is_one() -> None:
    body: JSONObject = {
        "model_name": "qwen3",
        "api_base": "http://h/v1",
        "api_key_name": "work",
        "api_protocol": "ollama",
        "generate_params": {"temperature": 0.1, "num_ctx": 4096},
    }
    made = read_model(body)
    assert (made.base, made.api_base, made.api_key_name) == ("ollama:qwen3", "http://h/v1", "work")
    assert made.options == Options(temperature=0.1, body={"num_ctx": 4096})


def test_references_to_credentials_are_filled_and_hidden() -> None:
    hidden: list[str] = []
    body: JSONObject = {"env": {"A": "Bearer ${credential:work}"}}
    assert revealed(body, {"work": 'x"y'}.get, hidden.append) == {"env": {"A": 'Bearer x"y'}}
    assert hidden == ['x"y']
    with pytest.raises(UsageError, match=r"credential 'work' is not here.*%credential add work"):
        revealed(body, lambda _: None, hidden.append)
