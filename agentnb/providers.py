"""What a provider of your own is made of, to import from one place; notebooks/04_custom_provider.ipynb builds one."""

from __future__ import annotations

from agentnb.models.base import Model, OutputSpec, Request
from agentnb.models.dialect import Dialect, Limits, Quirks
from agentnb.models.options import Options
from agentnb.models.providers import Provider
from agentnb.models.refusal import Source
from agentnb.models.remote import RemoteModel
from agentnb.models.sse import Decoder

__all__ = [
    "Decoder",
    "Dialect",
    "Limits",
    "Model",
    "Options",
    "OutputSpec",
    "Provider",
    "Quirks",
    "RemoteModel",
    "Request",
    "Source",
]
