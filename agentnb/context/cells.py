"""The notebook's earlier cells with what they gave, the newest kept first; those of agentnb the session has."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from agentnb.context.parts import Masking, Part, Source
from agentnb.messages import Text
from agentnb.prompting.blocks import to_blocks
from agentnb.prompting.budget import CHARS_PER_TOKEN, cut, fence
from agentnb.render.terminal import clean
from agentnb.tokens import count_tokens

#: Cells that are looked at, tokens of one cell's code and of what it gave.
_MOST, _CODE, _OUTPUT = 200, 400, 200
_OURS = re.compile(
    r"\s*(?:%%?(?:agent|tool|template|sandbox|mcp)|%(?:model|session|skill|credential|usage|files|browser|agentnb|agentenv)"
    r"|%(?:re)?load_ext\s+agentnb|%unload_ext\s+agentnb)(?!\w)"
)
_INSIDE = re.compile(r"^%%agent(?!\w)", re.MULTILINE)
#: Whose values show themselves within a budget, without code of the user's.
_SHOWN = frozenset({"builtins", "datetime", "decimal", "numpy", "pandas", "polars"})
_TITLE = "Earlier cells"


def source(inputs: Sequence[str], outputs: Mapping[int, object], errors: Mapping[int, str], mask: Masking) -> Source:
    """What tells of the cells: `inputs` by execution count, what they gave, the tracebacks of those that failed."""
    numbers = [n for n, code in enumerate(inputs) if code.strip() and not _is_ours(code)]
    made: dict[int, str] = {}

    def told(number: int) -> str:
        if number not in made:
            made[number] = _cell(number, inputs[number], outputs, errors, mask)
        return made[number]

    return partial(_cells, numbers, told)


def _cells(numbers: Sequence[int], told: Callable[[int], str], room: int) -> Part | None:
    left = room - count_tokens(_TITLE) - 20
    kept: list[str] = []
    for number in reversed(numbers[-_MOST:]):
        text = told(number)
        left -= count_tokens(text) + 1
        if left < 0:
            break
        kept.append(text)
    if not kept:
        return None
    missing = len(numbers) - len(kept)
    left_out = f"{missing:,} of {len(numbers):,} earlier cells left out" if missing else ""
    texts = [*([f"… {left_out} …"] if missing else []), *reversed(kept)]
    return Part(_TITLE, "\n".join(texts), "--context notebook: the newest that there is room for", left_out)


def _is_ours(code: str) -> bool:
    return bool(_OURS.match(code) or _INSIDE.search(code))


def _cell(number: int, code: str, outputs: Mapping[int, object], errors: Mapping[int, str], mask: Masking) -> str:
    written = cut(clean(mask(code)).strip("\n"), _CODE * CHARS_PER_TOKEN)
    lines = [f"In [{number}]:", fence(written, "python")]
    if number in errors:
        lines += [f"It failed: {cut(_last_line(clean(mask(errors[number]))), 300)}"]
    elif number in outputs and (shown := _shown(outputs[number], mask)):
        lines += [f"Out [{number}]:", fence(shown, "text")]
    return "\n".join(lines)


def _last_line(traceback: str) -> str:
    return traceback.rstrip().rpartition("\n")[2]


def _shown(value: object, mask: Masking) -> str:
    kind = type(value)
    if kind.__module__.partition(".")[0] not in _SHOWN:
        return f"({kind.__name__})"
    try:
        blocks = to_blocks(mask(value) if isinstance(value, str) else value, _OUTPUT)
    except Exception as error:  # what the value holds may be the user's own, and raise anything
        return f"({kind.__name__}: it cannot be shown: {type(error).__name__})"
    return cut(clean(mask("\n".join(b.text for b in blocks if isinstance(b, Text)))), _OUTPUT * CHARS_PER_TOKEN)
