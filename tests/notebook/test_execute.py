from __future__ import annotations

import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from agentnb.errors import MissingExtra, UsageError
from agentnb.notebook.console import Console
from agentnb.notebook.execute import RECORDED, SCRIPTED, Written, run_notebook

kernel = pytest.mark.kernel


def notebook(folder: Path, *sources: str) -> Path:
    path = folder / "note.ipynb"
    cells = [new_markdown_cell("# Title", id="title")]
    cells += [new_code_cell(source, id=f"cell-{at}") for at, source in enumerate(sources)]
    nbformat.write(new_notebook(cells=cells), path)
    return path


def run(path: Path, *, model: str | None = None) -> tuple[Written, str]:
    out = io.StringIO()
    return run_notebook(path, path.parent / "out", Console(out), model=model), out.getvalue()


@kernel
def test_a_notebook_is_run_in_its_own_folder_shown_and_written(tmp_path: Path) -> None:
    (tmp_path / "here.txt").write_text("beside the notebook")
    path = notebook(tmp_path, "print(open('here.txt').read())", "6 * 7")
    before = path.read_bytes()
    written, said = run(path)
    assert written == Written(tmp_path / "out" / "note.ipynb", tmp_path / "out" / "note.html")
    assert "# Title" in said
    assert "beside the notebook" in said
    assert "\n42" in said
    assert nbformat.read(written.notebook, as_version=4).cells[2].outputs[0].data["text/plain"] == "42"
    assert "beside the notebook" in written.page.read_text(encoding="utf-8")
    assert path.read_bytes() == before


@kernel
def test_a_failed_cell_ends_the_run_and_keeps_what_came_before(tmp_path: Path) -> None:
    written, said = run(notebook(tmp_path, "print('first')", "1 / 0", "print('never')"))
    assert written.failed
    assert not written.interrupted
    assert "✗ ZeroDivisionError: division by zero" in said
    assert "never" not in said
    outputs = [cell.outputs for cell in nbformat.read(written.notebook, as_version=4).cells[1:]]
    assert [len(each) for each in outputs] == [1, 1, 0]


@kernel
def test_what_an_earlier_run_left_does_not_stand_below_cells_that_were_not_reached(tmp_path: Path) -> None:
    path = notebook(tmp_path, "1 / 0", "print('never')")
    stored = nbformat.read(path, as_version=4)
    stored.cells[2].outputs = [new_output("stream", text="of an earlier run")]
    stored.cells[2].execution_count = 2
    nbformat.write(stored, path)
    written, _ = run(path)
    last = nbformat.read(written.notebook, as_version=4).cells[2]
    assert (last.outputs, last.execution_count) == ([], None)
    assert "of an earlier run" not in written.page.read_text(encoding="utf-8")


@kernel
def test_the_page_loads_nothing_from_elsewhere_and_runs_no_script_of_a_display(tmp_path: Path) -> None:
    written, _ = run(notebook(tmp_path, "print('<script>alert(1)</script>')"))
    page = written.page.read_text(encoding="utf-8")
    assert "<script src" not in page
    assert "<script>alert(1)" not in page


@kernel
@pytest.mark.parametrize(("model", "label"), [("fake:script.json", SCRIPTED), ("Replay/tape.json", RECORDED)])
def test_the_kernel_hears_which_model_answers_and_one_that_does_not_think_is_labelled(
    tmp_path: Path, model: str, label: str
) -> None:
    path = notebook(tmp_path, "import os; print(os.environ['AGENTNB_MODEL'])")
    written, said = run(path, model=model)
    assert said.count(model) == 2
    assert label in said
    assert label in written.page.read_text(encoding="utf-8")
    assert label in nbformat.read(written.notebook, as_version=4).cells[1].source


@kernel
def test_a_kernel_that_dies_fails_the_run(tmp_path: Path) -> None:
    written, said = run(notebook(tmp_path, "print('before')", "import os; os._exit(1)"))
    assert written.failed
    assert "✗ The kernel died." in said
    assert written.page.exists()


@kernel
@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise on Windows")
def test_ctrl_c_stops_the_cell_and_keeps_what_it_has_printed(tmp_path: Path) -> None:
    path = notebook(tmp_path, "import time\nprint('started', flush=True)\ntime.sleep(60)")
    program = (
        "import sys; from pathlib import Path; from agentnb.notebook.execute import run_notebook\n"
        "from agentnb.notebook.console import Console\n"
        "written = run_notebook(Path(sys.argv[1]), Path(sys.argv[2]), Console(sys.stdout))\n"
        "print(written.failed, written.interrupted)"
    )
    command = [sys.executable, "-c", program, str(path), str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        too_long = threading.Timer(60, process.kill)
        too_long.start()
        assert process.stdout is not None
        said = ""
        while said.splitlines()[-1:] != ["started"]:
            said += process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said += process.stdout.read()
        too_long.cancel()
    assert said.rstrip().endswith("✗ KeyboardInterrupt\nTrue True")
    assert "started" in json.dumps(nbformat.read(tmp_path / "out" / "note.ipynb", as_version=4).cells[1].outputs)


def test_a_notebook_is_never_written_over_itself(tmp_path: Path) -> None:
    path = notebook(tmp_path, "1")
    with pytest.raises(UsageError, match="Choose another folder"):
        run_notebook(path, tmp_path / "." / ".", Console(io.StringIO()))


def test_a_folder_that_cannot_be_made_is_said_before_anything_runs(tmp_path: Path) -> None:
    path = notebook(tmp_path, "1")
    with pytest.raises(UsageError, match=r"cannot be written to: .* Choose another --output"):
        run_notebook(path, path / "out", Console(io.StringIO()))


@pytest.mark.parametrize("content", [None, "not JSON", '{"cells": 3}', "[]"])
def test_what_is_no_notebook_is_refused_in_one_line(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "note.ipynb"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError) as refused:
        run(path)
    assert "note.ipynb" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_without_jupyter_the_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"agentnb\[lab\]"):
        run(notebook(tmp_path, "1"))


@kernel
def test_a_kernel_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = notebook(tmp_path, "1")
    content = json.loads(path.read_text())
    content["metadata"]["kernelspec"] = {"name": "fortran", "display_name": "Fortran"}
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match="fortran"):
        run(path)
