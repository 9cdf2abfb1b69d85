"""What of a record may be used although no person has seen it: what runs no code and fetches nothing."""

from __future__ import annotations

import ast

from agentnb.messages import JSON

_LOOKS_UP = (
    *(ast.Expression, ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.Slice, ast.UnaryOp, ast.USub),
    ast.expr_context,
)
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


def is_plain(expression: str) -> bool:
    """Whether it only looks something up: a name, its attributes, its items."""
    try:
        tree = ast.parse(f"({expression}\n)", mode="eval")
    except (SyntaxError, ValueError, RecursionError):
        return False
    return all(isinstance(node, _LOOKS_UP) for node in ast.walk(tree))


def refers_outside(schema: JSON) -> bool:
    """Whether a JSON Schema names another document, which checking an answer would fetch."""
    if isinstance(schema, list):
        return any(map(refers_outside, schema))
    if not isinstance(schema, dict):
        return False
    references = (schema.get(name, "#") for name in _REFERENCES)
    return any(not str(each).startswith("#") for each in references) or any(map(refers_outside, schema.values()))
