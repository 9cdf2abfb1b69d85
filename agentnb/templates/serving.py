"""Templates as a web service fills them: `{{name}}` and nothing else, in one pass; objects have no place there."""

from __future__ import annotations

import re
from collections.abc import Mapping

from agentnb.errors import PromptError
from agentnb.templates.template import some

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


def served(content: str, arguments: Mapping[str, object], *, strict: bool = False) -> str:
    """`content` with each `{{name}}` (`\\w+`, no spaces in it) replaced by `str(value)`; a value injects nothing.

    What has no argument stays as it is; `strict`, a PromptError names it.
    """
    if strict:
        missing = list(dict.fromkeys(name for name in _PLACEHOLDER.findall(content) if name not in arguments))
        if missing:
            raise PromptError(f"There is no value for {some(missing)}. Put {missing[0]!r} among the arguments.")
    return _PLACEHOLDER.sub(lambda found: str(arguments[found[1]]) if found[1] in arguments else found[0], content)
