"""PLACEHOLDER so that imports work; the local-model engineer overwrites this file."""

from __future__ import annotations


class LocalModel:
    def __init__(self, model: str) -> None:
        self.name = f"local:{model}"
