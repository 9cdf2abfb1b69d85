"""A session as a file for other people: Markdown, one HTML page, JSON, or a notebook. Pure: a value in, a text out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agentnb.exporting.conversation import Conversation, Said, gathered
from agentnb.exporting.heading import file_name
from agentnb.exporting.layout import layout
from agentnb.exporting.markdown import markdown
from agentnb.exporting.notebook import notebook
from agentnb.exporting.page import page

__all__ = ["FORMS", "Conversation", "Said", "file_name", "gathered", "layout", "markdown", "notebook", "page"]

#: What makes a text of a conversation, by how the file's name ends.
FORMS: Mapping[str, Callable[[Conversation], str]] = {
    ".md": markdown,
    ".html": page,
    ".json": layout,
    ".ipynb": notebook,
}
