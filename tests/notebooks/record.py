"""Records the tutorials anew: `python tests/notebooks/record.py`, or with the names of some, such as 03.

Each is run twice. First a built-in model answers, and the cassette keeps what it says; then the cassette answers, and
the notebook keeps what is shown: what `pytest --nbval` must see again. Where no question has changed, `--shown` does
only the second.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parents[2] / "notebooks"
METADATA = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}}
#: Who answers, while it is recorded; a tutorial that is not named here asks no model.
MODELS = {
    "01_first_agent": "local:qwen2.5-coder-0.5b",
    "02_tools_and_variables": "local:qwen2.5-coder-1.5b",
    "03_models_and_answers": "local:qwen2.5-coder-0.5b",
    "05_tools_and_approval": "local:qwen2.5-coder-0.5b",
    "06_mcp": "local:qwen2.5-coder-0.5b",
    "07_skills": "local:qwen2.5-coder-1.5b",
    "08_sandbox": "local:qwen2.5-coder-0.5b",
    "09_subagents": "local:qwen2.5-coder-1.5b",
    "10_sessions_and_memory": "local:qwen2.5-coder-1.5b",
    "11_templates": "local:qwen2.5-coder-1.5b",
    "12_saved_agents": "local:qwen2.5-coder-0.5b",
    "13_files": "local:qwen2.5-coder-1.5b",
}
#: Makes the name under which the tests replay a cassette mean the model that is recorded into it.
RECORDING = """
%load_ext agentnb
from agentnb import model as _model
from agentnb.wrappers import CassetteModel as _CassetteModel
_workspace = %agentnb
_workspace.models.register({name!r}, _CassetteModel(_model({model!r}), {cassette!r}))
"""


def record(path: Path) -> None:
    """Store what a model answers to a tutorial, in its cassette."""
    if model := MODELS.get(path.stem):
        cassette = f"cassettes/{path.stem}.json"
        kept = FOLDER / cassette
        kept.unlink(missing_ok=True)
        name = f"replay:{cassette}"
        _executed(path, name, before=RECORDING.format(name=name, model=model, cassette=cassette))
        kept.write_text(_numbered(kept.read_text(encoding="utf-8")), encoding="utf-8")


def show(path: Path) -> None:
    """Store what a tutorial shows, without what differs from run to run."""
    notebook = _executed(path, f"replay:cassettes/{path.stem}.json")
    notebook.metadata = nbformat.from_dict(METADATA | {"language_info": {"name": "python"}})
    nbformat.write(notebook, path)


def _numbered(cassette: str) -> str:
    """The cassette with numbers for the ids of calls, which the model makes up anew at each run."""
    ids = dict.fromkeys(re.findall(r'"call_id": "(\w+)"', cassette))
    for number, call_id in enumerate(ids, 1):
        cassette = cassette.replace(call_id, f"call_{number}")
    return cassette


def _executed(path: Path, model: str, *, before: str = "") -> NotebookNode:
    """The tutorial with its outputs; `before` runs in its kernel first, and counts as no cell."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        resources={"metadata": {"path": str(FOLDER)}},
        timeout=None,
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
    )

    async def begin(**_: object) -> None:
        reply = await client.kc.execute_interactive(before, store_history=False)
        assert reply["content"]["status"] == "ok"

    client.on_notebook_start = begin if before else None
    environ = {**os.environ, "AGENTNB_MODEL": model, "AGENTNB_DISPLAY": "static"}
    with tempfile.TemporaryDirectory() as home:  # nothing that is kept but its own
        client.execute(env=environ | {f"XDG_{kind}_HOME": f"{home}/{kind}" for kind in ("CONFIG", "DATA")})
    return notebook


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="how their names begin; default: all")
    parser.add_argument("--shown", action="store_true", help="ask no model: play the cassettes that there are")
    options = parser.parse_args()
    for each in sorted(FOLDER.glob("*.ipynb")):
        if each.name.startswith(tuple(options.names or [""])):
            if not options.shown:
                record(each)
            show(each)
