"""The prompt filled from live objects: everything is evaluated and made ready before anything is sent."""

from __future__ import annotations

import ast
import builtins
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass, replace

from agentnb.errors import PromptError, nearest
from agentnb.messages import Audio, Content, Data, File, Image, Text
from agentnb.prompting.blocks import to_blocks
from agentnb.prompting.budget import cuts_in, estimate_tokens, one_line
from agentnb.prompting.layout import Attached, Shown, lay_out
from agentnb.prompting.plain import plural
from agentnb.prompting.template import NOTHING_SENT, Placeholder, Reference, literal, named, parse


@dataclass(frozen=True, slots=True)
class Filled:
    """A prompt ready to send.

    `variables` has, for each expression, the SHA-256 of what was sent for it; `cuts` a line for each thing left out.
    """

    content: tuple[Content, ...]
    variables: dict[str, str]
    cuts: tuple[str, ...]

    @property
    def text(self) -> str:
        """Its words, without pictures and the like."""
        return "".join(block.text for block in self.content if isinstance(block, Text))


def fill(
    template: str,
    namespace: Mapping[str, object],
    *,
    budget: int = 4000,
    files: Callable[[str], str | Image] | None = None,
) -> Filled:
    """`template` with every `{{expression}}` replaced by its value in `namespace`.

    One pass: a value that contains `{{` is words. An expression that occurs twice is evaluated once, and assigning
    (`:=`) in one leaves the namespace alone. `budget` is what the texts of all values may cost together, in tokens;
    large values share what small ones leave. Pictures have limits of their own.
    `files` says what a file holds that is named as `<file>path</file>`; without it, and in values, these are words.
    Raises PromptError, with nothing sent, where a placeholder cannot be parsed, evaluated or shown.
    """
    template = template.removeprefix("\n").removesuffix("\n")
    pieces = parse(template, references=files is not None)
    scope = dict(namespace)
    placeholders = {p.expression: p for p in pieces if isinstance(p, Placeholder)}
    named_files = {p.expression: p.path for p in pieces if isinstance(p, Reference)}
    values = {expression: _value(p, scope) for expression, p in placeholders.items()}
    values |= {e: _read(path, files) for e, path in named_files.items() if files}
    blocks = _within(budget, values)
    attached = {e: Attached(e, path, blocks[e][0]) for e, path in named_files.items()}
    shown = {e: Shown(e, blocks[e], _kind(values[e]), isinstance(values[e], (str, Text))) for e in placeholders}
    cuts = [f"{e}: {cut}" for e, value in values.items() for cut in _cuts(blocks[e], value)]
    variables = {expression: _digest(sent) for expression, sent in blocks.items()}
    return Filled(lay_out(template, pieces, shown, attached), variables, tuple(cuts))


def evaluate(expression: str, namespace: Mapping[str, object]) -> object:
    """The value of one expression, which leaves the namespace alone. Raises PromptError, as a placeholder does."""
    match parse(f"{{{{{expression}}}}}"):
        case [Placeholder() as placeholder]:
            return _value(placeholder, dict(namespace))
    raise PromptError(f"{expression!r} is not an expression. {NOTHING_SENT}")


def _value(placeholder: Placeholder, scope: dict[str, object]) -> object:
    try:
        return eval(placeholder.code, scope)  # the user's own expression, in the user's own kernel
    except Exception as error:  # the user's code: anything may come, and all of it means that nothing is sent
        raise PromptError(_failure(placeholder, error, scope)) from error


def _read(path: str, files: Callable[[str], str | Image]) -> str | Image:
    try:
        return files(path)
    except PromptError as error:
        shown = "".join(char if char.isprintable() else "?" for char in one_line(path, 80))
        raise PromptError(f"<file>{shown}</file>: {error} {NOTHING_SENT}") from error


def _failure(placeholder: Placeholder, error: Exception, scope: Mapping[str, object]) -> str:
    what = named(placeholder.expression)
    if isinstance(error, NameError) and error.name in placeholder.code.co_names:
        near = nearest(error.name, [n for n in scope if not n.startswith("_")])
        near = near or (nearest(error.name, dir(builtins)) if len(error.name) > 3 else "")
        # A short name is as likely LaTeX or another template language as a slip.
        hint = "" if near and len(error.name) > 2 else " " + literal(placeholder.expression)
        return f"{what}: there is no variable {error.name!r}.{near}{hint} {NOTHING_SENT}"
    reason = one_line(f"{type(error).__name__}: {error}", 300).removesuffix(":").removesuffix(".")
    return f"{what}: {reason}.{_near_member(placeholder, error, scope)} {NOTHING_SENT}"


def _near_member(placeholder: Placeholder, error: Exception, scope: Mapping[str, object]) -> str:
    """The attribute or key that was probably meant; only of objects that are at hand, nothing is evaluated again."""
    if isinstance(error, AttributeError) and error.name and error.obj is not None:
        return nearest(error.name, [n for n in dir(error.obj) if not n.startswith("_")])
    if not isinstance(error, KeyError) or not error.args or not isinstance(key := error.args[0], str):
        return ""
    for node in ast.walk(ast.parse(f"({placeholder.expression}\n)", mode="eval")):
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=asked)) if asked == key:
                keys = getattr(scope.get(name), "keys", None)
                return nearest(key, [k for k in keys() if isinstance(k, str)]) if callable(keys) else ""
    return ""


def _within(budget: int, values: Mapping[str, object]) -> dict[str, tuple[Content, ...]]:
    """Every value's blocks; where they cost too much together, the largest are made again within a fair share."""
    blocks = {expression: _blocks(expression, value, budget) for expression, value in values.items()}
    costs = {expression: _text_tokens(made) for expression, made in blocks.items()}
    left, waiting = budget, len(costs)
    for expression, cost in sorted(costs.items(), key=lambda item: item[1]):
        share = max(left // waiting, 50)
        if cost > share * 1.1:
            blocks[expression] = _blocks(expression, values[expression], share)
        left, waiting = left - min(cost, share), waiting - 1
    return blocks


def _blocks(expression: str, value: object, budget: int) -> tuple[Content, ...]:
    try:
        blocks = to_blocks(value, budget)
    except PromptError as error:
        raise PromptError(f"{named(expression)}: {error} {NOTHING_SENT}") from error
    except Exception as error:  # a renderer or `__repr__` of the user's: as above
        reason = one_line(f"{type(error).__name__}: {error}", 300).removesuffix(".")
        kind = type(value).__name__
        raise PromptError(f"{named(expression)}: a {kind} that cannot be shown: {reason}. {NOTHING_SENT}") from error
    if isinstance(blocks, tuple):
        blocks = tuple(replace(b, text=_writable(b.text)) if isinstance(b, Text) else b for b in blocks)
    if not isinstance(blocks, tuple) or not all(isinstance(b, (Text, Image, Audio, File, Data)) for b in blocks):
        raise PromptError(
            f"{named(expression)}: what is registered for {type(value).__name__} must return a tuple of blocks "
            f"such as (Text('…'),). {NOTHING_SENT}"
        )
    return blocks


def _writable(text: str) -> str:
    """`text` without lone surrogates, which no JSON writer takes; `os.listdir` makes them."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _text_tokens(blocks: Iterable[Content]) -> int:
    return estimate_tokens([block for block in blocks if isinstance(block, Text)])


def _kind(value: object) -> str:
    name = type(value).__name__
    return f"{name}, {plural(len(value), 'item')}" if isinstance(value, Sized) else name


def _cuts(blocks: Iterable[Content], value: object) -> list[str]:
    own = set(cuts_in(value)) if isinstance(value, str) else set()
    found = [cut for block in blocks if isinstance(block, Text) for cut in cuts_in(block.text)]
    return [cut for cut in found if cut not in own]


def _digest(blocks: Iterable[Content]) -> str:
    digest = hashlib.sha256()
    for block in blocks:
        match block:
            case Text(text=text):
                digest.update(text.encode(errors="surrogatepass"))
            case Image(data=data, url=url):
                digest.update(data or (url or "").encode())
            case Audio(data=data) | File(data=data):
                digest.update(data)
            case Data(value=value):
                digest.update(json.dumps(value, sort_keys=True).encode())
    return digest.hexdigest()
