"""The templates that are kept under names, with all their versions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentnb.errors import UsageError, nearest
from agentnb.prompting.budget import one_line
from agentnb.templates.serving import served
from agentnb.templates.template import Template

if TYPE_CHECKING:
    from agentnb.store.records import Record, Records

_NAME = re.compile(r"\w[\w.-]{0,99}")


@dataclass(frozen=True, slots=True)
class Edition:
    """One entry of a template's history; `content` None says that it was removed. `created` is in s since 1970."""

    version: int
    content: str | None
    created: float


class Templates:
    """The templates of a store. Methods raise UsageError for a name that there is not, or that is none.

    `mask` knows the secrets that must not be among them.
    """

    def __init__(self, records: Records, mask: Callable[[str], str] = lambda text: text) -> None:
        self._records = records
        self._mask = mask

    def create(self, name: str | None = None, content: str = "", *, template_id: str | None = None) -> Template:
        """Keep a new one; `template_id` is another word for its name. Raises UsageError where the name is taken."""
        name = checked_name(_one_of(name, template_id))
        if self._records.find("template", name) is not None:
            raise UsageError(f"There is a template {name!r} already. Change it with `update`, or take another name.")
        return self.put(name, content)

    def put(self, name: str, content: str) -> Template:
        """Keep it under a name, as the next version where there is one; the same words again are no version."""
        if not isinstance(content, str):
            raise UsageError(f"The content of a template is a text, not {type(content).__name__}.")
        words = content.encode("utf-8", "replace").decode()  # no file takes lone surrogates
        if self._mask(words) != words:
            raise UsageError(
                f"A key stands in the template {checked_name(name)!r}, and it was not kept. Put it into a variable, "
                "and write {{NAME}} in its place."
            )
        return _template(self._records.put("template", checked_name(name), {"content": words}))

    def get(self, name: str, version: int | None = None) -> Template:
        """The newest version, or the one of that number."""
        if version is not None and version < 1:
            raise UsageError(f"The versions of a template count from 1: there is no version {version}.")
        name = checked_name(name)
        editions = self._records.history("template", name)
        if not editions:
            raise UsageError(
                f"There is no template {name!r}.{nearest(name, self.names())} %%template {name} makes one."
            )
        if version is None and editions[-1].body is None:
            raise UsageError(f"The template {name!r} was removed. %template restore {name} brings it back.")
        return _template(self._records.get("template", name, version))

    def list_all(self) -> Sequence[Template]:
        """All of them by name, each in its newest version."""
        return [_template(each) for each in self._records.all("template")]

    def names(self) -> Sequence[str]:
        """Their names."""
        return self._records.names("template")

    def update(
        self, name: str, content: str | None = None, *, new_name: str | None = None, template_id: str | None = None
    ) -> Template:
        """Change its words, its name (`new_name`, or `template_id`), or both."""
        found = self.get(name)
        if new_name is not None or template_id is not None:
            found = self.rename(found.name, _one_of(new_name, template_id))
        return found if content is None else self.put(found.name, content)

    def rename(self, name: str, new_name: str) -> Template:
        """Under another name. Raises UsageError where that one is taken."""
        found, new = self.get(name), checked_name(new_name)
        return found if found.name == new else _template(self._records.rename("template", found.name, new))

    def delete(self, name: str) -> None:
        """Remove it; `restore` brings it back."""
        self._records.remove("template", self.get(name).name)

    def history(self, name: str) -> Sequence[Edition]:
        """All its versions, the oldest first, and when it was removed."""
        found = self._records.history("template", checked_name(name))
        if not found:
            self.get(name)
        return [Edition(each.version, _content(each), each.created) for each in found]

    def restore(self, name: str, version: int | None = None) -> Template:
        """An earlier version again, as the newest: by default the one before the last change or removal."""
        editions = self.history(name)
        if version is None:
            now = editions[-1].content
            version = next((e.version for e in reversed(editions) if e.content is not None and e.content != now), 0)
            if not version:
                raise UsageError(f"The template {checked_name(name)!r} has no earlier version to go back to.")
        self.get(name, version)
        return _template(self._records.restore("template", checked_name(name), version))

    def served(self, name: str, arguments: Mapping[str, object], *, content: str = "", strict: bool = False) -> str:
        """What a message says that names a template: its own `content` where there is some, else the template's.

        It says nothing where there is no such template; `strict`, that is a UsageError (see also `served`).
        """
        if content:
            return content
        try:
            found = self.get(name)
        except UsageError:
            if strict:
                raise
            return ""
        return served(found.content, arguments, strict=strict)


def checked_name(name: str) -> str:
    """`name` as it is kept. Raises UsageError for what is none: it may become the name of a file."""
    normal = unicodedata.normalize("NFC", name)
    if not _NAME.fullmatch(normal) or ".." in normal:
        raise UsageError(
            f"{one_line(name, 60)!r} is no name for a template. Take letters and digits, behind the first also "
            "`-`, `_` and `.`; 100 at most."
        )
    return normal


def _one_of(name: str | None, template_id: str | None) -> str:
    given = {each for each in (name, template_id) if each is not None}
    if len(given) != 1:
        raise UsageError("A template has one name: give name=… or template_id=…")
    return given.pop()


def _template(record: Record) -> Template:
    return Template(_content(record) or "", name=record.name, version=record.version)


def _content(record: Record) -> str | None:
    return str(record.body.get("content", "")) if isinstance(record.body, dict) else None
