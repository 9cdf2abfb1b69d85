"""A conversation as a notebook: each turn a `%%agent` cell with its outputs, to be read as it is or run again."""

from __future__ import annotations

import json
from collections.abc import Iterator

from agentnb.exporting.conversation import Conversation, Said
from agentnb.exporting.displays import displays
from agentnb.exporting.heading import about, title
from agentnb.messages import JSON
from agentnb.render.markdown import safe


def notebook(conversation: Conversation) -> str:
    """The JSON text of an `.ipynb` (nbformat 4.5). A prompt stands there as it was written, its placeholders open."""
    cells = [
        _cell("title", "markdown", f"# {safe(title(conversation))}\n\n{safe(about(conversation))}"),
        _code("load", "%load_ext agentnb", []),
    ]
    cells += [
        _code(f"turn-{said.number}", f"%%agent\n{said.prompt}", list(_outputs(said)))
        for said in conversation.turns
        if said.prompt.strip()
    ]
    made: JSON = {
        "cells": cells,
        "metadata": {
            "agentnb": {"exported_from": conversation.session.id},
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(made, ensure_ascii=False, indent=1) + "\n"


def _outputs(said: Said) -> Iterator[JSON]:
    for bundle in displays(said):
        data = {kind: _plain(content) for kind, content in bundle.data.items()}
        yield {"output_type": "display_data", "data": data, "metadata": _plain(bundle.metadata)}


def _code(cell_id: str, source: str, outputs: list[JSON]) -> JSON:
    cell = _cell(cell_id, "code", source)
    return {**cell, "execution_count": None, "outputs": outputs}


def _cell(cell_id: str, kind: str, source: str) -> dict[str, JSON]:
    return {"cell_type": kind, "id": cell_id, "metadata": {}, "source": _lines(source)}


def _lines(text: str) -> list[JSON]:
    """The text as notebook files have it: a list of lines, each with its end."""
    *lines, last = text.split("\n")
    return [*(f"{line}\n" for line in lines), *([last] if last else [])]


def _plain(content: object) -> JSON:
    """Long texts are lists of lines, as in every other notebook file."""
    if isinstance(content, str) and "\n" in content:
        return _lines(content)
    plain: JSON = json.loads(json.dumps(content))
    return plain
