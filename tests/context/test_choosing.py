"""Which context goes along where nobody says, and how much of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from agentnb.context.choosing import Choice, budget, chosen
from agentnb.errors import UsageError
from agentnb.events import ModelEvent
from agentnb.models.base import Model, Request
from agentnb.models.cached import CacheModel
from agentnb.models.cassette import CassetteModel
from agentnb.models.fake import FakeModel
from agentnb.models.fallback import FallbackModel
from agentnb.models.options import Options
from agentnb.models.preset import PresetModel


class Named:
    def __init__(self, name: str) -> None:
        self.name = name

    def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        raise NotImplementedError


REMOTE, LOCAL, FAKE = Named("openai:gpt-5.4"), Named("local:qwen2.5-coder-0.5b"), FakeModel("Hi")


def test_minimal_is_the_default() -> None:
    assert chosen(None, lambda: None, REMOTE) == Choice("minimal", "the default")


def test_what_the_cell_says_always_holds() -> None:
    for model in (REMOTE, LOCAL, FAKE):
        assert chosen("notebook", lambda: "none", model).mode == "notebook"
        assert chosen("none", lambda: "notebook", model).mode == "none"


def test_what_is_set_holds_for_every_model_that_is_really_asked() -> None:
    assert chosen(None, lambda: "notebook", REMOTE).mode == "notebook"
    assert chosen(None, lambda: "minimal", LOCAL).mode == "minimal"
    assert chosen(None, lambda: "minimal", FAKE).mode == "none"


def test_a_built_in_model_gets_none_and_a_dry_run_says_so() -> None:
    choice = chosen(None, lambda: None, LOCAL)
    assert (choice.mode, choice.shown) == ("none", True)
    assert chosen(None, lambda: None, Named("local:/models/mine.gguf")).mode == "minimal"


def test_answers_that_are_found_by_their_request_get_none(tmp_path: Path) -> None:
    recording = CassetteModel(REMOTE, tmp_path / "tape.json", mode="record")
    models: tuple[Model, ...] = (
        FAKE, recording, CacheModel(REMOTE), FallbackModel(REMOTE, FAKE), PresetModel(recording, Options(seed=1)),
    )  # fmt: skip
    for model in models:
        assert chosen(None, lambda: pytest.fail("asked for nothing"), model).mode == "none"


def test_another_word_is_refused_and_the_nearest_named() -> None:
    with pytest.raises(UsageError, match=r"--context 'notbook' is not known. Did you mean 'notebook'\?"):
        chosen("notbook", lambda: None, REMOTE)


def test_the_budget_is_a_part_of_what_the_model_reads() -> None:
    assert budget("minimal", 16_000) == 1_000
    assert (budget("minimal", 1_000_000), budget("notebook", 1_000_000)) == (2_000, 8_000)
    assert budget("minimal", None) == 512
    assert budget("none", 1_000_000) == 0
