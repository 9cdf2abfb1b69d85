"""Prompt templates: texts with `{{placeholders}}`, filled from arguments first and the notebook's variables next."""

from __future__ import annotations

from agentnb.templates.serving import served
from agentnb.templates.shelf import Edition, Templates, checked_name
from agentnb.templates.template import INPUT, Template

__all__ = ["INPUT", "Edition", "Template", "Templates", "checked_name", "served"]
