"""One template: its placeholders, and what it says with values in their places."""

from __future__ import annotations

import types
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from agentnb import prompting
from agentnb.errors import PromptError, nearest
from agentnb.messages import Content, Image, Text
from agentnb.prompting import Filled
from agentnb.prompting.budget import one_line
from agentnb.prompting.template import NOTHING_SENT, Placeholder, named, parse
from agentnb.requests import TOOLS, as_words

#: The name under which a cell's own words go into a template.
INPUT = "input"
_TABLE = TOOLS.strip("{}")
#: How many names a message lists.
_NAMED = 5


@dataclass(frozen=True)
class Template:
    """A text with `{{placeholders}}`. `version` counts the changes of one that is kept; 0 is one that is not.

    Without slots: what was read of it is kept with it.
    """

    content: str
    name: str = field(default="", kw_only=True)
    version: int = field(default=0, kw_only=True)

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The expressions in `{{…}}`, each once, in order. Raises PromptError for one that cannot be read."""
        return tuple(dict.fromkeys(each.expression for each in self._parsed))

    @property
    def arguments(self) -> tuple[str, ...]:
        """The placeholders that are plain names, which a form can ask for."""
        return tuple(each for each in self.placeholders if each.isidentifier() and each != _TABLE)

    def fill(
        self,
        arguments: Mapping[str, object] | None = None,
        namespace: Mapping[str, object] | None = None,
        /,
        *,
        strict: bool = True,
        tools: str = TOOLS,
        files: Callable[[str], str | Image] | None = None,
        **more: object,
    ) -> Filled:
        """What to send: `await agent.run(template.fill(city="Rome"))`.

        A name is an argument, else a variable of `namespace`; never a built-in of Python, so that `{{type}}` is a name
        like others. One pass: a value that contains `{{` is words. `{{TOOLS}}` becomes `tools`, where no argument has
        that name. Not `strict`, a name without a value stays as it is. For `files` see prompting.fill.
        Raises PromptError, which names it, for a placeholder without a value and an argument without a placeholder.
        """
        given = {**(arguments or {}), **more}
        marked, mark = self._marked(given)
        filled = marked._filled(given, namespace or {}, strict, files)
        return _rewritten(filled, lambda text: text.replace(mark, tools)) if mark else filled

    def system(
        self,
        arguments: Mapping[str, object] | None = None,
        namespace: Mapping[str, object] | None = None,
        /,
        **more: object,
    ) -> str:
        """What `Agent(system=…)` takes: `{{TOOLS}}` is put in with each request, and in a value it is words.

        Raises PromptError as `fill` does, and for a value that is no text, such as a picture.
        """
        given = {**(arguments or {}), **more}
        marked, mark = self._marked(given)
        filled = marked._filled(given, namespace or {}, True, None)
        other = next((block for block in filled.content if not isinstance(block, Text)), None)
        if other is not None:
            raise PromptError(
                f"{self._called}: a system prompt takes words only, and one of its values is of another kind "
                f"({other.type}). Use it in a prompt instead. {NOTHING_SENT}"
            )
        text = as_words(filled.text)
        return text.replace(mark, TOOLS) if mark else text

    def around(self, body: str) -> Template:
        """With `body`, which may have placeholders itself, where it says `{{input}}`, else below it.

        Raises PromptError where a placeholder of either cannot be read.
        """
        body = body.strip("\n")
        if not body.strip():
            return self
        parse(body)
        if INPUT in self.placeholders:
            return self._with(INPUT, lambda _: body)
        return replace(self, content=f"{self.content.rstrip()}\n\n{body}")

    def _marked(self, given: Mapping[str, object]) -> tuple[Template, str]:
        """It with a mark, which no value can hold, in the place of `{{TOOLS}}`, and the mark."""
        if _TABLE in given or _TABLE not in self.placeholders:
            return self, ""
        mark = f"TOOLS-{uuid.uuid4().hex}"
        return self._with(_TABLE, lambda _: mark), mark

    def _filled(
        self,
        given: Mapping[str, object],
        namespace: Mapping[str, object],
        strict: bool,
        files: Callable[[str], str | Image] | None,
    ) -> Filled:
        missing = [each for each in self.arguments if each not in given and each not in namespace]
        text = self
        if strict:
            self._check(given, missing)
        else:
            for each in missing:
                text = text._with(each, lambda written: f"{{{{{written}}}}}")  # in doubled braces it is words
        try:
            return prompting.fill(text.content, {**namespace, **given}, files=files)
        except PromptError as error:
            raise PromptError(f"{self._called}: {error}") from error

    def _with(self, expression: str, words: Callable[[str], str]) -> Template:
        """It with other words in the places of a placeholder; they are given what stands there, braces included."""
        made, at = [], 0
        for each in self._parsed:
            if each.expression == expression:
                new = words(self.content[each.start : each.end])
                # Braces of the two must not be read together.
                apart = "\n" if new.endswith("{") and self.content[each.end : each.end + 1] == "{" else ""
                made += [self.content[at : each.start], new, apart]
                at = each.end
        return replace(self, content="".join([*made, self.content[at:]]))

    def _check(self, given: Mapping[str, object], missing: Sequence[str]) -> None:
        used = {name for each in self._parsed for name in _names(each.code)} | {_TABLE}
        unknown = next((name for name in given if name not in used), None)
        if unknown is not None:
            has = some(self.placeholders) if self.placeholders else "none"
            raise PromptError(
                f"{self._called} has no placeholder {one_line(unknown, 80)!r}.{nearest(unknown, self.arguments)} "
                f"It has {has}. {NOTHING_SENT}"
            )
        if missing:
            below = "Write it below the line, or" if missing[0] == INPUT else "Give"
            raise PromptError(
                f"{self._called} has no value for {some(missing)}. {below} {missing[0]}=…, or make a variable of that "
                f"name. {NOTHING_SENT}"
            )

    @cached_property
    def _parsed(self) -> tuple[Placeholder, ...]:
        try:
            return tuple(each for each in parse(self.content) if isinstance(each, Placeholder))
        except PromptError as error:
            raise PromptError(f"{self._called}: {error}") from error

    @property
    def _called(self) -> str:
        return f"Template {self.name!r}" if self.name else "The template"


def some(expressions: Sequence[str]) -> str:
    """Placeholders as a message lists them: the first few."""
    more = f" and {len(expressions) - _NAMED} more" if len(expressions) > _NAMED else ""
    return ", ".join(map(named, expressions[:_NAMED])) + more


def _names(code: types.CodeType) -> Iterator[str]:
    """The names that an expression reads, in the functions it makes as well."""
    yield from code.co_names
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield from _names(each)


def _rewritten(filled: Filled, words: Callable[[str], str]) -> Filled:
    blocks: Iterable[Content] = filled.content
    return replace(filled, content=tuple(replace(b, text=words(b.text)) if isinstance(b, Text) else b for b in blocks))
