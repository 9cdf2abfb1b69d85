from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from agentnb import Agent, FakeModel, __version__, tool
from agentnb.__main__ import main
from agentnb.notebook.execute import RECORDED, SCRIPTED
from agentnb.wrappers import CassetteModel

SCRIPT = {"how many": [[{"call": "count", "arguments": {"n": 3}}], "There are **6** of them."]}
CELLS = (
    "%load_ext agentnb",
    "%%tool\ndef count(n: int) -> int:\n    'Count.'\n    return 2 * n",
    "%%agent\nhow many are there?",
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `notes/a.ipynb` and its script, where the person is."""
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "script.json").write_text(json.dumps(SCRIPT))
    cells = [new_code_cell(source, id=f"c{at}") for at, source in enumerate(CELLS)]
    nbformat.write(new_notebook(cells=cells), notes / "a.ipynb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENTNB_DISPLAY", "live")
    monkeypatch.delenv("AGENTNB_MODEL", raising=False)
    return tmp_path


@pytest.mark.kernel
def test_run_shows_the_agent_at_work_and_ends_with_what_was_written(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "notes/a.ipynb", "--model", "fake:notes/script.json", "--output", "build/demo"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "✓ count(n=3) → 6" in said
    assert "There are **6** of them." in said
    assert said[-1] == f"Wrote {Path('build/demo/a.html')} and {Path('build/demo/a.ipynb')}"
    assert "There are <strong>6</strong> of them." in (project / "build/demo/a.html").read_text(encoding="utf-8")


@pytest.mark.kernel
def test_a_failed_cell_is_exit_status_1_and_said_in_the_last_line(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "notes/script.json").write_text("{}")
    monkeypatch.setenv("AGENTNB_MODEL", "fake:notes/script.json")
    assert main(["run", "notes/a.ipynb"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == f"A cell failed. What ran until then is in {Path('build/a.html')} and {Path('build/a.ipynb')}"
    assert sum("has no answer" in line for line in said) == 1


@pytest.fixture
def cassette(project: Path) -> None:
    """`notes/tape.json`, recorded from the script."""

    @tool
    def count(n: int) -> int:
        """Count."""
        return 2 * n

    model = CassetteModel(FakeModel.load(project / "notes/script.json"), project / "notes/tape.json", mode="record")
    assert Agent(model, tools=[count]).run_sync("how many are there?").text == "There are **6** of them."


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No model in the cache, and no way out: hub and package index are at a port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
    monkeypatch.setenv("AGENTNB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, closed)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.kernel
@pytest.mark.usefixtures("nowhere", "cassette")
@pytest.mark.parametrize(
    ("fallback", "label"), [("fake:notes/script.json", SCRIPTED), ("replay:notes/tape.json", RECORDED)]
)
def test_where_no_model_is_to_be_had_the_fallback_answers_and_is_labelled(
    project: Path, capsys: pytest.CaptureFixture[str], fallback: str, label: str
) -> None:
    wish = ["--model", "local:qwen2.5-coder-0.5b", "--fallback", fallback]
    assert main(["run", "notes/a.ipynb", *wish]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if "qwen" in line][-1].startswith("✗ Cannot fetch qwen2.5-coder-0.5b")
    assert label in said
    assert "There are **6** of them." in said
    assert label in (project / "build/a.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("project", "nowhere")
@pytest.mark.parametrize("command", [["pull"], ["run", "notes/a.ipynb", "--model", "local:qwen2.5-coder-0.5b"]])
def test_without_a_fallback_a_model_that_cannot_be_had_is_one_line_and_exit_status_1(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 1
    said = capsys.readouterr().err
    assert said.startswith("agentnb: Cannot fetch qwen2.5-coder-0.5b")
    assert said.count("\n") == 1


def test_a_model_that_is_not_known_is_named_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", "qwen"]) == 2
    assert "qwen2.5-coder-0.5b" in capsys.readouterr().err


def test_a_notebook_that_is_not_there_is_one_line_and_exit_status_2(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "nowhere.ipynb"]) == 2
    assert capsys.readouterr().err == "agentnb: No notebook at 'nowhere.ipynb'. Check the path.\n"
    assert not (project / "build").exists()


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert (left.value.code, capsys.readouterr().out) == (0, f"agentnb {__version__}\n")


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    said = capsys.readouterr().out
    assert left.value.code == 0
    assert "pull" in said
    assert "run" in said


def test_the_command_loads_jupyter_only_when_it_runs_a_notebook() -> None:
    program = "import sys, agentnb.__main__; print([m for m in sys.modules if m in %r])"
    heavy = ["IPython", "nbclient", "nbconvert", "nbformat", "jupyter_client", "httpx", "pandas", "xllamacpp"]
    done = subprocess.run([sys.executable, "-c", program % heavy], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
