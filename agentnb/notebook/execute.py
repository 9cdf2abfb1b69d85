"""Runs a notebook in a fresh kernel from a terminal, and writes what came of it: the notebook and a page to read."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentnb.errors import MissingExtra, UsageError
from agentnb.notebook.console import Console

if TYPE_CHECKING:
    from nbclient import NotebookClient
    from nbformat import NotebookNode

SCRIPTED = "Scripted model: answers were written in advance; the tools really run."
RECORDED = "Recorded model: answers were given earlier and are played back; the tools really run."

#: nbconvert's page, its displays in line with its text, without what it loads from elsewhere (but for TeX, if any).
_PAGE = """{% extends "lab/index.html.j2" %}
{% block extra_css %}<style>
.jp-OutputArea-child:not(.jp-OutputArea-executeResult) > .jp-RenderedHTMLCommon { padding-left: 17px }
</style>{% endblock %}
{% block html_head_js %}{% endblock %}
{% block html_head_js_mathjax %}{% if resources.tex %}{{ super() }}{% endif %}{% endblock %}"""


@dataclass(frozen=True, slots=True)
class Written:
    """What a run left: two files, and whether a cell failed or the person stopped it."""

    notebook: Path
    page: Path
    failed: bool = False
    interrupted: bool = False


def run_notebook(source: Path, folder: Path, console: Console, *, model: str | None = None) -> Written:
    """Run the cells of `source` until one fails, and write all there is into `folder`.

    `model` answers in the kernel (None: what the notebook or the environment says). Raises UsageError for a notebook
    that cannot be read or has no kernel, MissingExtra where there is no Jupyter.
    """
    if not all(map(importlib.util.find_spec, ("nbformat", "nbclient", "nbconvert"))):
        raise MissingExtra("Running a notebook", "lab")
    notebook = _read(source)
    _clear(notebook)
    target = folder / source.name
    if target.resolve() == source.resolve():
        raise UsageError(f"{str(folder)!r} is where {source.name} itself lies. Choose another folder with --output.")
    try:
        folder.mkdir(parents=True, exist_ok=True)  # now: not after a run that takes minutes
    except OSError as reason:
        raise UsageError(f"{str(folder)!r} cannot be written to: {reason.strerror}. Choose another --output.") from None
    environ = {**os.environ, **({"AGENTNB_MODEL": model} if model else {})}
    console.note(" · ".join(filter(None, (source.name, model))))
    label = label_of(model)
    if label:
        console.line(label)
    failed, interrupted = asyncio.run(_execute(notebook, source.parent, environ, console))
    if label:
        _label(notebook, label)
    return Written(target, _write(notebook, target), failed, interrupted)


def label_of(model: str | None) -> str | None:
    """What a reader must be told where nobody thinks: by the model's name, answers that were there before."""
    match re.split("[:/]", (model or "").lower(), maxsplit=1):
        case ["fake", _]:
            return SCRIPTED
        case ["replay", _]:
            return RECORDED
    return None


def _read(source: Path) -> NotebookNode:
    import nbformat

    try:
        notebook: NotebookNode = nbformat.read(source, as_version=4)  # type: ignore[no-untyped-call]  # untyped there
    except FileNotFoundError:
        raise UsageError(f"No notebook at {str(source)!r}. Check the path.") from None
    except OSError as reason:
        raise UsageError(f"{str(source)!r} cannot be read: {reason.strerror}. Check the path.") from None
    except (ValueError, nbformat.ValidationError, AttributeError, KeyError, TypeError):
        # nbformat takes JSON of another shape for a notebook of some age, and stumbles.
        raise UsageError(f"{source.name} is not a Jupyter notebook. Open it in JupyterLab to see why.") from None
    return notebook


def _clear(notebook: NotebookNode) -> None:
    """Forget what an earlier run left: it would stand below cells that this one does not reach."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


async def _execute(
    notebook: NotebookNode, folder: Path, environ: Mapping[str, str], console: Console
) -> tuple[bool, bool]:
    """Whether a cell failed, and whether the person stopped it."""
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    client = _client(notebook, folder, console)
    interrupts = _Interrupts(client)
    client.on_notebook_start = interrupts.listen
    try:
        await client.async_execute(env=dict(environ))
    except NoSuchKernel as reason:
        raise UsageError(f"There is no Jupyter kernel {reason.name!r} here. Run: pip install ipykernel") from None
    except CellExecutionError:
        pass  # the cell has shown its error
    except DeadKernelError:
        console.problem("The kernel died.")
    else:
        return False, bool(interrupts.asked)
    return True, bool(interrupts.asked)


def _client(notebook: NotebookNode, folder: Path, console: Console) -> NotebookClient:
    from nbclient import NotebookClient

    class Streaming(NotebookClient):
        # nbclient has no hook for output; Any is its own word for the protocol's JSON.
        def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
            console.message(msg["msg_type"], msg["content"])
            return super().process_message(msg, cell, cell_index)

    def begin(cell: NotebookNode, **_: object) -> None:
        if cell.cell_type == "markdown":
            console.heading(cell.source)
        elif cell.cell_type == "code" and cell.source.strip():
            console.source(cell.source, client.code_cells_executed + 1)

    client = Streaming(
        notebook,
        resources={"metadata": {"path": str(folder)}},
        timeout=None,
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],  # what the kernel says of itself is not what the notebook says
        on_cell_start=begin,
    )
    return client


class _Interrupts:
    """^C interrupts the cell, which keeps what it has; a second one ends the kernel."""

    def __init__(self, client: NotebookClient) -> None:
        self._client = client
        self.asked: list[asyncio.Future[object]] = []

    def listen(self, **_: object) -> None:
        """Take the place of nbclient's own handler, which ends the kernel at once; Windows has no such handlers."""
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._ask)

    def _ask(self) -> None:
        from jupyter_core.utils import ensure_async

        if (kernel := self._client.km) is not None:
            ending = kernel.shutdown_kernel(now=True) if self.asked else kernel.interrupt_kernel()
            self.asked.append(asyncio.ensure_future(ensure_async(ending)))


def _label(notebook: NotebookNode, label: str) -> None:
    """Say on the page itself that nobody thought this up just now: below the title, if there is one."""
    from nbformat.v4 import new_markdown_cell

    cell = new_markdown_cell(f"> **{label}**", id="no-live-model")  # type: ignore[no-untyped-call]  # as above
    titled = bool(notebook.cells) and notebook.cells[0].cell_type == "markdown"
    notebook.cells.insert(int(titled), cell)


def _write(notebook: NotebookNode, target: Path) -> Path:
    import nbformat
    from jinja2 import DictLoader
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(  # type: ignore[no-untyped-call]  # as above
        extra_loaders=[DictLoader({"page.html.j2": _PAGE})], template_file="page.html.j2"
    )
    tex = any("$" in str(cell.get("outputs", cell.source)) for cell in notebook.cells)
    html, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": target.stem}, "tex": tex})
    page = target.with_suffix(".html")
    nbformat.write(notebook, target)  # type: ignore[no-untyped-call]  # as above
    page.write_text(html, encoding="utf-8")
    return page
