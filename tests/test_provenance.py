"""All runs that are kept, as a DataFrame."""

from __future__ import annotations

import builtins
import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import agentnb
from agentnb import events, messages
from agentnb.config import STORE as FILE
from agentnb.errors import StoreError, UsageError
from agentnb.messages import Text, ToolResult, Usage, user
from agentnb.session import RunHead
from agentnb.store import Store
from tests.store.conftest import feed, turn


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.close()


def keep(store: Store, run_id: str, **head: Any) -> None:
    """A run that asked for something and got an answer."""
    given = {"model": "fake:a", "prompt": "How many?", "notebook": "/work/a.ipynb"} | head
    feed(store, RunHead(run_id, **given), turn(run_id, given["prompt"], "Three."))


def asked(tmp_path: Path, **more: Any) -> list[str]:
    return list(agentnb.runs(home=tmp_path, **more)["run"])


def test_a_run_is_a_row_that_says_how_its_answer_came_about(tmp_path: Path, store: Store) -> None:
    head = RunHead(
        "r1",
        "s1",
        cell="c1",
        label="In [3]",
        notebook="/work/a.ipynb",
        agent="analyst",
        model="openai:gpt-5-mini",
        prompt="How many rows has {{df}}?",
        variables={"df": "ab12"},
        options={"temperature": 0},
    )
    stream = [
        events.RunStarted("openai:gpt-5-mini", run_id="r1"),
        events.MessageAdded(user("How many rows has df?"), run_id="r1"),
        events.ToolCallStart("c", "rows", run_id="r1"),
        events.ToolCallArgs("c", '{"df": "df"}', run_id="r1"),
        events.ToolCallEnd("c", run_id="r1"),
        events.Usage(Usage(10, 2, cached=4, usd=0.25), run_id="r1"),
        events.MessageEnd("tool_calls", run_id="r1"),
        events.ToolResult(ToolResult("c", "rows", (Text("344"),)), run_id="r1"),
        events.TextDelta("344.", run_id="r1"),
        events.Usage(Usage(20, 5, reasoning=3, usd=0.5), run_id="r1"),
        events.MessageEnd("stop", run_id="r1"),
        events.RunFinished("done", Usage(), run_id="r1"),
    ]
    feed(store, head, stream)
    (row,) = agentnb.runs(home=tmp_path).to_dict("records")
    assert row.pop("started").tzinfo is not None
    assert row.pop("seconds") >= 0
    assert pd.isna(row.pop("error"))
    assert pd.isna(row.pop("within"))
    assert row == {
        "run": "r1",
        "notebook": "/work/a.ipynb",
        "cell": "c1",
        "label": "In [3]",
        "session": "s1",
        "agent": "analyst",
        "model": "openai:gpt-5-mini",
        "prompt": "How many rows has {{df}}?",
        "variables": {"df": "ab12"},
        "options": {"temperature": 0},
        "calls": ["rows"],
        "calls_detail": [{"name": "rows", "arguments": '{"df": "df"}', "failed": False}],
        "rounds": 2,
        "input": 30,
        "cached": 4,
        "output": 7,
        "reasoning": 3,
        "tokens": 37,
        "usd": 0.75,
        "outcome": "done",
    }


def test_without_a_store_the_table_is_empty_and_nothing_is_made(tmp_path: Path, store: Store) -> None:
    empty = agentnb.runs(home=tmp_path / "none")
    keep(store, "r1")
    full = agentnb.runs(home=tmp_path)
    assert len(empty) == 0
    assert list(empty.columns) == list(full.columns)
    assert list(empty.dtypes) == list(full.dtypes)
    assert str(empty.dtypes["started"]) == "datetime64[us, UTC]"
    assert not (tmp_path / "none").exists()


def test_it_reads_where_notebooks_keep(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(store, "r1")
    monkeypatch.setenv("AGENTNB_HOME", str(tmp_path))
    assert list(agentnb.runs()["run"]) == ["r1"]


def test_a_price_that_nobody_knows_is_nan_and_a_run_in_progress_has_no_outcome(tmp_path: Path, store: Store) -> None:
    feed(store, RunHead("r1"), turn("r1", "hi", "hello")[:2])
    (row,) = agentnb.runs(home=tmp_path).itertuples()
    assert pd.isna(row.usd)
    assert pd.isna(row.seconds)
    assert pd.isna(row.outcome)


def test_notebook_session_and_model_are_found_by_what_one_remembers_of_them(tmp_path: Path, store: Store) -> None:
    keep(store, "r1", session="abc")
    keep(store, "r2", session="abd", notebook="/work/b.ipynb")
    keep(store, "r3", model="openai:gpt-5-mini", notebook=None)
    assert asked(tmp_path) == ["r1", "r2", "r3"]
    assert asked(tmp_path, notebook="b.ipynb") == ["r2"]
    assert asked(tmp_path, notebook=Path("/work/a.ipynb")) == ["r1"]
    assert asked(tmp_path, notebook="/other/a.ipynb") == []
    assert asked(tmp_path, notebook="pynb") == []
    assert asked(tmp_path, session="ab") == ["r1", "r2"]
    assert asked(tmp_path, model="openai:") == ["r3"]


def test_since_is_a_date_a_time_or_how_long_ago(tmp_path: Path, store: Store) -> None:
    keep(store, "r1")
    for long_ago in ("2020-01-31", datetime.date(2020, 1, 31), datetime.timedelta(days=1), "2020-01-31 14:00+02:00"):
        assert asked(tmp_path, since=long_ago) == ["r1"]
    assert asked(tmp_path, since="2999-01-01") == []
    with pytest.raises(UsageError, match="since='last week' is no time"):
        agentnb.runs(home=tmp_path, since="last week")


def test_runs_within_runs_are_there_when_they_are_asked_for(tmp_path: Path, store: Store) -> None:
    inner = [
        events.RunStarted("fake:b", "helper", "c", 1, run_id="r2", parent_id="r1"),
        events.MessageAdded(user("part"), run_id="r2", parent_id="r1"),
        events.TextDelta("done", run_id="r2", parent_id="r1"),
        events.MessageEnd("stop", run_id="r2", parent_id="r1"),
        events.RunFinished("done", messages.Usage(), run_id="r2", parent_id="r1"),
    ]
    outer = turn("r1", "all", "well")
    feed(store, RunHead("r1"), [*outer[:2], *inner, *outer[2:]])
    assert asked(tmp_path) == ["r1"]
    frame = agentnb.runs(home=tmp_path, within=True).set_index("run")
    assert frame.loc["r2", "within"] == "r1"
    assert frame.loc["r2", "prompt"] == "part"


def test_a_file_that_is_no_store_is_named_and_stays(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all, but long enough to be looked at by whoever reads it" * 20)
    with pytest.raises(StoreError, match="is no database"):
        agentnb.runs(home=tmp_path)
    assert (tmp_path / FILE).read_bytes().startswith(b"no database")


def test_without_pandas_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name == "pandas":
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(UsageError, match=r"Run: pip install pandas$"):
        agentnb.runs(home=tmp_path)
