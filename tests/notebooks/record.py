"""Stores the tutorials' outputs as their tests expect them; run it after a tutorial has changed."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
METADATA = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}}


def record(path: Path) -> None:
    """Run a tutorial on the scripted model and keep only what is the same every time."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        resources={"metadata": {"path": str(FOLDER)}},
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
    )
    client.execute(env={**os.environ, "AGENTNB_MODEL": "fake:script.json", "AGENTNB_DISPLAY": "static"})
    notebook.metadata = nbformat.from_dict(METADATA | {"language_info": {"name": "python"}})
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for each in sorted(FOLDER.glob("*.ipynb")):
        record(each)
