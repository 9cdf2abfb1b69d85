"""Everything a kernel holds: model, tools, session, runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentnb.errors import RunInterrupted, UsageError
from agentnb.jobs import Run
from agentnb.messages import user
from agentnb.models.fake import FakeModel, call
from agentnb.models.options import Options
from agentnb.protocol import PanelState
from agentnb.session import RunHead
from agentnb.tools.function import tool
from agentnb.workspace import DEFAULT_MODEL, Workspace


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    made = Workspace({}, environ={})
    yield made
    made.close()


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def subtract(a: int, b: int) -> int:
    """Subtract."""
    return a - b


def started(workspace: Workspace, *turns: object, pace: float = 0.0, text: str = "Go") -> Run:
    """A run of a scripted model."""
    agent = workspace.agent(model=FakeModel(*turns, pace=pace))
    run = workspace.run(agent, user(text))
    run.start()
    return run


class States:
    """A panel: keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[PanelState] = []
        self._new = threading.Condition()

    def __call__(self, state: PanelState) -> None:
        with self._new:
            self.seen.append(state)
            self._new.notify_all()

    def wait(self, condition: object) -> PanelState:
        """The first state that fits."""
        assert callable(condition)
        with self._new:
            assert self._new.wait_for(lambda: any(map(condition, self.seen)), 5), self.seen
            return next(state for state in self.seen if condition(state))


def test_the_built_in_model_answers_where_nobody_chose_even_with_a_key_in_the_environment() -> None:
    assert Workspace(environ={"OPENAI_API_KEY": "sk-x"}).model_name == DEFAULT_MODEL
    assert Workspace(environ={"AGENTNB_MODEL": "openai:gpt-5-mini"}).model_name == "openai:gpt-5-mini"


def test_a_model_that_was_chosen_answers_from_then_on(workspace: Workspace) -> None:
    model = workspace.use_model(FakeModel("hi"))
    assert workspace.agent().model is workspace.model is model


def test_a_registered_function_is_the_one_that_has_its_name_now(workspace: Workspace) -> None:
    workspace.namespace["add"] = add
    workspace.toolbox.add(["add"])
    workspace.namespace["add"] = tool(subtract, name="add")
    assert workspace.toolbox.enabled() == {"add": workspace.namespace["add"]}


class Odd:
    """A callable that cannot be compared, as an array cannot."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("ambiguous")

    __hash__ = None  # type: ignore[assignment]  # what cannot be compared has no hash

    def __call__(self) -> str:
        return "odd"


@pytest.mark.parametrize("other", [int, 3, lambda: 1, Odd()], ids=["class", "number", "lambda", "odd"])
def test_a_registered_tool_stays_where_its_name_now_holds_what_cannot_be_one(
    workspace: Workspace, other: object
) -> None:
    workspace.namespace["add"] = add
    workspace.toolbox.add(["add"])
    workspace.namespace["add"] = other
    assert list(workspace.toolbox.enabled()) == ["add"]
    workspace.toolbox.remove("add")
    assert "add" not in workspace.toolbox.all()


def test_decorated_functions_are_tools_and_taking_one_away_switches_it_off(workspace: Workspace) -> None:
    workspace.namespace["f"] = tool(add)
    assert list(workspace.toolbox.enabled()) == ["add"]
    workspace.toolbox.remove("add")
    assert "add" in workspace.toolbox.all()
    assert workspace.toolbox.enabled() == {}
    workspace.toolbox.enable("add", True)
    assert [spec.name for spec in workspace.agent(model=FakeModel()).request(()).tools] == ["add"]


def test_an_unknown_tool_names_the_nearest(workspace: Workspace) -> None:
    workspace.namespace["add"] = add
    for verb in (workspace.toolbox.pick, workspace.toolbox.add):
        with pytest.raises(UsageError, match="Did you mean 'add'"):
            verb(["ad"])
    workspace.toolbox.add(["add"])
    with pytest.raises(UsageError, match="Did you mean 'add'"):
        workspace.toolbox.remove("ad")
    with pytest.raises(UsageError, match="Did you mean 'add'"):
        workspace.toolbox.enable("ad", False)


def test_a_run_is_there_while_it_goes_on_and_gone_when_it_has_ended(workspace: Workspace) -> None:
    states = States()
    workspace.listen(states)
    run = started(workspace, "word " * 1000, pace=0.01)
    assert list(workspace.runs.values()) == [run]
    states.wait(lambda state: state.runs and state.runs[0].step == "answers")
    workspace.stop(run.id)
    with pytest.raises(RunInterrupted):
        run.done.result(5)
    assert workspace.runs == {}
    assert run.transcript().outcome == "interrupted"


def test_stopping_one_run_leaves_the_other(workspace: Workspace) -> None:
    first, second = (started(workspace, "word " * 1000, pace=0.01) for _ in range(2))
    workspace.stop(first.id)
    with pytest.raises(RunInterrupted):
        first.done.result(5)
    assert list(workspace.runs.values()) == [second]
    assert not second.stopping


def test_closing_ends_every_run_and_the_thread() -> None:
    workspace = Workspace({}, environ={})
    before = set(threading.enumerate())
    runs = [started(workspace, "word " * 1000, pace=0.01) for _ in range(3)]
    loop = set(threading.enumerate()) - before
    workspace.close()
    assert all(isinstance(run.done.exception(0), RunInterrupted) for run in runs)
    assert not any(thread.is_alive() for thread in loop)


def test_two_workspaces_know_nothing_of_each_other(workspace: Workspace) -> None:
    other = Workspace({"f": tool(add)}, environ={})
    assert workspace.toolbox.enabled() == {}
    assert workspace.session is not other.session
    started(other, "hi").done.result(5)
    other.close()
    assert workspace.state().last is None
    assert other.state().last is not None


def test_a_panel_follows_a_run(workspace: Workspace) -> None:
    states = States()
    workspace.listen(states)
    started(workspace, "word " * 20, pace=0.02, text="  What\nis it? " + "so " * 40)
    during = states.wait(lambda state: state.runs and state.runs[0].step == "answers").runs[0]
    assert during.title == ("What is it? " + "so " * 40)[:59] + "…"
    assert (during.model, during.round, during.stopping) == ("fake:script", 1, False)
    after = states.wait(lambda state: state.last)
    assert (after.last or "").startswith("done · 1 round · ")
    assert (after.runs, after.error) == ((), None)


def test_a_panel_sees_which_tool_runs_and_why_a_run_failed(workspace: Workspace) -> None:
    go_on = threading.Event()

    @tool(thread=True)
    def hold() -> str:
        """Hold."""
        return str(go_on.wait(5))

    workspace.namespace["hold"] = hold
    states = States()
    workspace.listen(states)
    started(workspace, call("hold"))  # and no second turn
    states.wait(lambda state: state.runs and state.runs[0].step == "runs hold")
    go_on.set()
    assert "has no turn 2" in (states.wait(lambda state: state.error).error or "")


def test_a_tool_that_cannot_be_described_is_shown_with_the_reason(workspace: Workspace) -> None:
    def bad(x: Unknown) -> None:  # type: ignore[name-defined]  # noqa: F821  # that is the point
        """Be bad."""

    workspace.namespace["bad"] = tool(bad)
    assert "Unknown" in workspace.state().tools[0].description


def home(tmp_path: Path, **environ: str) -> dict[str, str]:
    """The environment of a person whose files are here."""
    return {"AGENTNB_HOME": str(tmp_path), "AGENTNB_KEYRING": "off", **environ}


def test_runs_are_counted_by_cell_and_by_the_model_that_answered(workspace: Workspace) -> None:
    for cell in ("In [1]", "In [2]"):
        run = workspace.run(workspace.agent(model=FakeModel("hi")), user("Go"), head=RunHead("", label=cell))
        run.start()
        run.done.result(5)
    assert [row.key for row in workspace.ledger.by("cell")] == ["In [1]", "In [2]"]
    assert [(row.key, row.runs) for row in workspace.ledger.by("model")] == [("fake:script", 2)]


def test_the_cap_of_a_person_is_that_of_every_notebook_until_it_is_lifted(tmp_path: Path) -> None:
    workspace = Workspace({}, environ=home(tmp_path, AGENTNB_MAX_COST="0.5"))
    assert workspace.budget is not None
    assert workspace.budget.limit == 0.5
    workspace.cap(None)
    assert workspace.budget is None


def test_keys_of_the_environment_are_masked_once_anything_runs(tmp_path: Path) -> None:
    workspace = Workspace({}, environ=home(tmp_path, XAI_API_KEY="xai-secret-of-a-person"))
    run = workspace.run(workspace.agent(model=FakeModel("hi")), user("Go"))
    run.start()
    run.done.result(5)
    assert workspace.mask("It is xai-secret-of-a-person.") == "It is [key]."
    workspace.close()


def test_a_model_of_ones_own_is_opened_by_its_name(tmp_path: Path) -> None:
    workspace = Workspace({}, environ=home(tmp_path), base_dir=tmp_path)
    workspace.add_model("fast", "openai:gpt-5.4", {"retries": "1"}, options=Options(temperature=0))
    assert workspace.open_model("fast").name == "openai:gpt-5.4"
    assert workspace.models.names() == {"fast": "openai:gpt-5.4"}
    with pytest.raises(UsageError, match="'retries' takes"):
        workspace.add_model("bad", "openai:gpt-5.4", {"retries": "many"})


def test_what_is_known_of_a_provider_needs_no_key(tmp_path: Path) -> None:
    workspace = Workspace({}, environ=home(tmp_path))
    assert {card.name.partition(":")[0] for card in workspace.known_models("claude")} == {"anthropic"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[http", "config.toml is not TOML"),
        (
            '[providers.mine]\nbase_url = "http://x"\ndialect = "opnai_chat"',
            "There is no dialect 'opnai_chat' for 'mine'.",
        ),
        ('[providers."My Host"]\nbase_url = "http://x"', "A provider cannot be called 'My Host'."),
    ],
)
def test_a_broken_configuration_is_one_line_at_first_use(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    workspace = Workspace({}, environ={"AGENTNB_HOME": str(tmp_path)})
    for _ in range(2):
        with pytest.raises(UsageError) as raised:
            workspace.open_model("openai:m")
        assert said in str(raised.value)
    (tmp_path / "config.toml").unlink()
    workspace.close()
    assert "agentnb workspace" in repr(workspace)


def test_a_name_for_no_model_is_refused(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="'mine' stands for no model: name the one to ask, or a cassette"):
        workspace.add_model("mine", None, {"retries": "1"})


def test_a_cap_that_changes_counts_the_runs_in_progress(workspace: Workspace) -> None:
    workspace.cap(1.0)
    began = workspace.budget
    assert began is not None
    held = began.hold("x:m", least=0.1, most=0.4)
    workspace.cap(2.0)
    began.settle(held, 0.3)
    assert workspace.budget is not None
    assert (workspace.budget.limit, workspace.budget.spent) == (2.0, 0.3)
    workspace.cap(None)
    assert workspace.budget is None
