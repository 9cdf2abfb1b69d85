from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentnb import messages
from agentnb.errors import UsageError
from agentnb.models.base import Model, Request
from agentnb.models.fake import FakeModel
from agentnb.models.rates import Rate
from agentnb.models.settings import read_stack
from agentnb.models.stack import stack


def _opened(name: str) -> Model:
    return FakeModel(name=name)


def _read(**settings: object) -> Any:
    return read_stack(settings, open_model=_opened, base_dir=Path("/notebooks"))


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, {}),
        ({"retries": "3", "concurrency": 4}, {"retries": 3, "concurrency": 4}),
        ({"retries": None, "cache": "", "rate": None}, {}),
        (
            {"rate": "10/s, 90k tpm"},
            {"rates": (Rate(10, "requests", 1), Rate(90_000, "tokens", 60))},
        ),
        ({"rates": ["10/s", "60/m"]}, {"rates": (Rate(10, "requests", 1), Rate(60, "requests", 60))}),
        ({"timeout": "first=30,idle=60s, total=600"}, {"first": 30, "idle": 60, "total": 600}),
        ({"timeout": "90"}, {"total": 90}),
        ({"timeout": 2.5, "first": "1", "idle": 1, "total": "3s"}, {"first": 1, "idle": 1, "total": 3}),
        ({"cache": "on"}, {"cache": True}),
        ({"cache": True}, {"cache": True}),
        ({"cache": "off"}, {}),
        ({"cache": "answers"}, {"cache": Path("/notebooks/answers")}),
        ({"record": "c.json"}, {"record": Path("/notebooks/c.json")}),
        ({"replay": Path("/c.json"), "cassette": "~/c"}, {"replay": Path("/c.json"), "cassette": Path.home() / "c"}),
    ],
)
def test_settings_are_read_as_people_write_them(settings: dict[str, object], options: dict[str, object]) -> None:
    assert _read(**settings) == options


def test_names_become_models() -> None:
    read = _read(fallback=["openai:a", "groq:b,ollama:c"], balance="openai:d=2, groq:e")
    assert [model.name for model in read["fallbacks"]] == ["openai:a", "groq:b", "ollama:c"]
    assert {model.name: weight for model, weight in read["balance"].items()} == {"openai:d": 2, "groq:e": 1}
    assert [model.name for model in _read(balance={"openai:d": 0.5})["balance"]] == ["openai:d"]


def test_the_ready_made_check_is_for_keys() -> None:
    changed = _read(check="secrets")["check_request"](Request((messages.user("sk-" + "a1" * 20),)))
    assert changed.messages[0].text == "[key]"


def test_secrets_that_are_known_are_taken_out_too() -> None:
    read = read_stack({"check": "secrets"}, open_model=_opened, mask=lambda text: text.replace("hush", "[key]"))
    assert read["mask"]("hush") == "[key]"
    check = read["check_request"]
    changed = check(Request((messages.user("hush sk-" + "a1" * 20),)))
    assert isinstance(changed, Request)
    assert changed.messages[0].text == "[key] [key]"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"retry": 3}, "There is no setting 'retry' of a model. Did you mean 'retries'? There are: balance, cache, "),
        ({"retries": "many"}, "The setting 'retries' takes a whole number from 0 up, not 'many'."),
        ({"retries": 1.5}, "a whole number from 0 up"),
        ({"retries": True}, "a whole number from 0 up"),
        ({"concurrency": 0}, "a whole number from 1 up, not '0'"),
        ({"concurrency": "nan"}, "a whole number from 1 up"),
        ({"rate": "fast"}, "'fast' is not a rate."),
        ({"rate": 10}, "The setting 'rate' takes a text, or a list of texts, not '10'."),
        ({"timeout": "soon"}, "takes seconds, or 'first=30, idle=60, total=600', not 'soon'."),
        ({"timeout": "connect=3"}, "takes seconds, or"),
        ({"timeout": "first=-1"}, "takes seconds, or"),
        ({"timeout": 0}, "takes seconds, or"),
        ({"idle": "0"}, "The setting 'idle' takes seconds greater than 0, not '0'."),
        ({"balance": "openai:a=heavy"}, "models with weights, such as 'openai:a=2, groq:b=1', not 'openai:a=heavy'."),
        ({"balance": "openai:a=0"}, "models with weights"),
        ({"balance": " , "}, "models with weights"),
        ({"fallback": [1]}, "a text, or a list of texts"),
        ({"cache": 7}, "The setting 'cache' takes a path, not '7'."),
        ({"check": "words"}, "takes 'secrets'"),
    ],
)
def test_what_is_written_wrongly_is_named(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        _read(**settings)
    assert said in str(caught.value)


def test_what_is_read_makes_a_stack() -> None:
    settings = {"fallback": "openai:b", "retries": "1", "rate": "1/s", "timeout": "9", "cache": "on"}
    assert stack(_opened("openai:a"), **read_stack(settings, open_model=_opened)).name == "openai:a"
