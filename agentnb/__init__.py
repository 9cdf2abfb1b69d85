"""Agents that live in your notebook."""

__version__ = "0.1.0"
