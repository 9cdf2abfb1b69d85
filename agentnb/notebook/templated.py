"""What a cell says by templates: which, and with what values; everything may fail before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agentnb import prompting
from agentnb.errors import UsageError
from agentnb.messages import Image, JSONObject
from agentnb.notebook.orders import Order
from agentnb.notebook.pairs import value
from agentnb.prompting import Filled
from agentnb.templates import Template, Templates

#: The options that name one.
PROMPT, SYSTEM = "template", "system-template"


@dataclass(frozen=True, slots=True)
class Named:
    """A template, and the values that it is given."""

    template: Template
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def record(self) -> JSONObject:
        """What the notebook file keeps of it."""
        return {"name": self.template.name, "version": self.template.version}


@dataclass(frozen=True, slots=True)
class Wording:
    """A cell's words: `text` is its prompt as written, within its template where it has one."""

    text: str
    names: Mapping[str, object]
    prompt: Named | None = None
    told: Named | None = None
    said: str | None = None

    def fill(self, tools: Callable[[], str], files: Callable[[str], str | Image]) -> Filled:
        """The prompt. Raises PromptError."""
        if self.prompt is None:
            return prompting.fill(self.text, self.names, files=files)
        template = Template(self.text, name=self.prompt.template.name)
        return template.fill(self.prompt.values, self.names, tools=tools(), files=files)

    def system(self) -> str | None:
        """The system prompt. Raises PromptError."""
        return self.said if self.told is None else self.told.template.system(self.told.values, self.names)


def wording(templates: Callable[[], Templates], order: Order, names: Mapping[str, object]) -> Wording:
    """What an order says. Raises UsageError for a template, or a value, that there is not."""
    prompt, told = _named(templates, order, PROMPT, names), _named(templates, order, SYSTEM, names)
    said = order.options.one("system")
    if told and said is not None:
        raise UsageError("--system and --system-template contradict each other. Leave one out.")
    text = prompt.template.around(order.prompt).content if prompt else order.prompt
    return Wording(text, names, prompt, told, said)


def _named(templates: Callable[[], Templates], order: Order, option: str, names: Mapping[str, object]) -> Named | None:
    name = order.options.one(option)
    if name is None:
        return None
    given = dict(value(pair, names) for pair in order.options.pairs.get(option, ()))
    return Named(templates().get(name), given)
