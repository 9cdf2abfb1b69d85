"""Agents that live in your notebook: `%load_ext agentnb`, or `from agentnb import Agent, tool`."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

# All that modules make when they load stays: the collector, which would look through it over and over, rests meanwhile.
_collecting = gc.isenabled()
gc.disable()
try:
    from agentnb.agent import Agent
    from agentnb.credential import Credential
    from agentnb.errors import AgentnbError, OutputError, ToolError
    from agentnb.hooks import Hook
    from agentnb.models.fake import FakeModel
    from agentnb.models.options import Options
    from agentnb.models.resolve import open_model as model
    from agentnb.prompting import to_blocks
    from agentnb.provenance import runs
    from agentnb.result import Result
    from agentnb.session import Session
    from agentnb.templates import Template
    from agentnb.tools.base import Reply
    from agentnb.tools.function import tool
    from agentnb.workspace import Workspace
finally:
    if _collecting:
        gc.enable()

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__version__ = "0.1.0"
__all__ = [
    "Agent",
    "AgentnbError",
    "Credential",
    "FakeModel",
    "Hook",
    "Options",
    "OutputError",
    "Reply",
    "Result",
    "Session",
    "Template",
    "ToolError",
    "Workspace",
    "model",
    "runs",
    "to_blocks",
    "tool",
]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """What `%load_ext agentnb` calls."""
    collecting = gc.isenabled()
    gc.disable()  # as above
    try:
        from agentnb.notebook import extension  # only here: a script that imports agentnb must not pay for IPython
    finally:
        if collecting:
            gc.enable()
    extension.load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """What `%unload_ext agentnb` calls."""
    from agentnb.notebook import extension

    extension.unload(shell)
