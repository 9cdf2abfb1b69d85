"""Where values go in a prompt: short ones into the sentence, long ones below it under their name.

`Which month is best in {{sales}}?` becomes ``Which month is best in `sales`?`` and, after the paragraph,
`` `sales` (DataFrame, 344 rows × 8 columns):`` with the table. A placeholder alone on its line is filled there.
Text in a string goes in verbatim wherever the author made room for it: on its own line, in a code fence, in tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from agentnb.messages import Audio, Content, File, Image, Text
from agentnb.prompting.budget import fence, one_line
from agentnb.prompting.template import Piece, Placeholder, Reference

#: Longer values leave the sentence, so that it stays one.
_INLINE = 200
_FENCE = re.compile(r"[ \t]*(```+|~~~+)")


@dataclass(frozen=True, slots=True)
class Shown:
    """A placeholder's value as blocks; `kind` describes it where the blocks do not; `is_text` for strings."""

    expression: str
    blocks: tuple[Content, ...]
    kind: str
    is_text: bool

    @property
    def name(self) -> str:
        return f"`{one_line(self.expression, 80)}`"

    @property
    def inline(self) -> str | None:
        """The value as a part of a sentence, or None where it is too long, or no text."""
        match self.blocks:
            case ():
                return ""
            case (Text(text=text),) if "\n" not in text and (self.is_text or len(text) <= _INLINE):
                return text
        return None

    @property
    def labelled(self) -> tuple[Content, ...]:
        """The blocks under a line that names the expression."""
        first, *rest = self.blocks
        if isinstance(first, Text):
            if self.is_text:
                return (Text(f"{self.name}:\n{fence(first.text)}"), *rest)
            head, newline, body = first.text.partition("\n")
            if (newline or rest) and head.endswith(":"):
                return (Text(f"{self.name} ({head[:-1]}):{newline}{body}"), *rest)
            return (Text(f"{self.name} ({self.kind}):\n{first.text}"), *rest)
        return (Text(f"{self.name} ({_medium(first) or self.kind}):"), *self.blocks)


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that the prompt names: its text goes below, under its path; a picture beside words that stand for it."""

    expression: str
    path: str
    block: Content

    @property
    def name(self) -> str:
        path = one_line(self.path, 200)
        return f"[Image file attached: {path}]" if isinstance(self.block, Image) else f"`{path}`"

    @property
    def labelled(self) -> tuple[Content, ...]:
        if not isinstance(self.block, Text):
            return (self.block,)
        text = self.block.text
        if not text.strip():
            return (Text(f"{self.name} (empty file)"),)
        ending = PurePosixPath(self.path).suffix[1:]
        return (Text(f"{self.name}:\n{fence(text, ending if ending.isalnum() else '')}"),)


def _medium(block: Content) -> str:
    match block:
        case Image(alt=alt):
            return alt
        case Audio(media_type=kind):
            return kind
        case File(name=name):
            return name
    return ""


class _Page:
    """The content so far, and the values still to be put below the paragraph."""

    def __init__(self) -> None:
        self._content: list[Content] = []
        self._below: list[Shown | Attached] = []
        self._labelled: set[str] = set()

    def write(self, *blocks: Content) -> None:
        for block in blocks:
            if isinstance(block, Text) and self._content and isinstance(last := self._content[-1], Text):
                self._content[-1] = Text(last.text + block.text)
            else:
                self._content.append(block)

    def put_here(self, shown: Shown | Attached) -> None:
        if shown.expression in self._labelled:
            self.write(Text(f"{shown.name} (see above)"))
        else:
            self._labelled.add(shown.expression)
            self.write(*shown.labelled)

    def put_below(self, shown: Shown | Attached) -> None:
        self.write(Text(shown.name))
        if shown.expression not in self._labelled:
            self._labelled.add(shown.expression)
            self._below.append(shown)

    def start_line(self) -> None:
        if self._content and isinstance(last := self._content[-1], Text):
            self._content[-1] = Text(last.text.rstrip(" ") + "\n")

    def end_paragraph(self) -> None:
        for shown in self._below:
            self.write(Text("\n\n"), *shown.labelled)
        self._below.clear()

    def content(self) -> tuple[Content, ...]:
        self.end_paragraph()
        return tuple(_trimmed(self._content))


def _trimmed(content: Sequence[Content]) -> Iterable[Content]:
    """Next to a picture a line break is the block's own end; texts of nothing else are dropped."""
    for at, block in enumerate(content):
        if isinstance(block, Text):
            text = block.text.lstrip("\n") if at else block.text
            text = text.rstrip("\n") if at + 1 < len(content) else text
            if not text.strip() and len(content) > 1:
                continue
            yield Text(text, block.extra)
        else:
            yield block


def lay_out(
    template: str, pieces: Iterable[Piece], shown: Mapping[str, Shown], attached: Mapping[str, Attached]
) -> tuple[Content, ...]:
    """The prompt's content: `template` with each placeholder's value, and each file, where it reads best."""
    fenced, ends = _paragraphs(template)
    page = _Page()
    for piece in pieces:
        if isinstance(piece, Placeholder):
            _put(page, shown[piece.expression], _place(template, piece, fenced))
            continue
        if isinstance(piece, Reference):
            file = attached[piece.expression]
            alone = _place(template, piece, fenced) == "alone" and not isinstance(file.block, Image)
            page.put_here(file) if alone else page.put_below(file)
            continue
        at = 0
        for end in ends if piece.start is not None else ():
            if 0 <= (stop := end - (piece.start or 0)) < len(piece.text):
                page.write(Text(piece.text[at:stop]))
                page.end_paragraph()
                at = stop
        page.write(Text(piece.text[at:]))
    return page.content()


def _put(page: _Page, value: Shown, place: str) -> None:
    if value.inline is not None:
        page.write(Text(value.inline))
    elif place == "verbatim" or (value.is_text and place != "sentence"):
        page.write(*value.blocks)
    elif place == "sentence":
        page.put_below(value)
    else:
        if place == "introduced":
            page.start_line()
        page.put_here(value)


def _place(template: str, piece: Placeholder | Reference, fenced: Sequence[range]) -> str:
    """Where it stands: "verbatim" (a fence, tags, quotes), "alone", "introduced" (by a colon), "sentence"."""
    before = template[template.rfind("\n", 0, piece.start) + 1 : piece.start]
    line_end = template.find("\n", piece.end)
    after = template[piece.end : line_end if line_end >= 0 else len(template)]
    if any(piece.start in span for span in fenced):
        return "verbatim"
    if not before.strip() and not after.strip():
        return "alone"
    if before.rstrip().endswith(":") and not after.strip():
        return "introduced"
    touching = before[-1:].strip() and after[:1].strip()
    return "verbatim" if touching and before[-1] in ">\"'`([" else "sentence"


def _paragraphs(template: str) -> tuple[list[range], list[int]]:
    """The spans of code fences, and where paragraphs end: the line breaks before blank lines outside fences."""
    fenced: list[range] = []
    ends: list[int] = []
    opened: tuple[int, str] | None = None
    at = 0
    previous_blank = True
    for line in template.splitlines(keepends=True):
        if found := _FENCE.match(line):
            bar = found.group(1)
            if opened is None:
                opened = at, bar
            elif bar.startswith(opened[1]):
                fenced.append(range(opened[0], at))
                opened = None
        elif opened is None and not line.strip() and not previous_blank:
            ends.append(at - 1)
        previous_blank = not line.strip()
        at += len(line)
    return fenced, ends
