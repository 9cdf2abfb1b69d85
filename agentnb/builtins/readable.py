"""A web page as text to read: headings, paragraphs, lists, links and tables; no scripts, no styles."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

#: What is inside these is not for reading.
_HIDDEN = frozenset({"script", "style", "noscript", "template", "svg", "iframe", "object", "canvas", "select"})
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
#: These begin a line, those a paragraph.
_LINES = frozenset({"li", "tr", "dt", "dd"})
_BLOCKS = _LINES | _HEADINGS | {
    "address", "article", "aside", "blockquote", "body", "details", "div", "dl", "fieldset", "figcaption", "figure",
    "footer", "form", "header", "hr", "main", "nav", "ol", "p", "pre", "section", "summary", "table", "tbody", "tfoot",
    "thead", "ul",
}  # fmt: skip
#: Nesting deeper than this is not followed: no page that is written to be read has it.
_DEEPEST = 500


class _Reader(HTMLParser):
    def __init__(self, base: str) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self._base = base
        self._out: list[str] = []
        self._hidden = 0
        self._in_title = False
        self._verbatim = 0
        self._link: tuple[str, int] | None = None
        self._lists: list[int | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in _HIDDEN
        if self._hidden:
            return
        if tag in _BLOCKS:
            self._break(tag)
        self._begin(tag, dict(attrs))

    def _begin(self, tag: str, given: dict[str, str | None]) -> None:
        match tag:
            case "title":
                self._in_title = not self.title
            case "br":
                self._out.append("\n")
            case "ol" | "ul" if len(self._lists) < _DEEPEST:
                self._lists.append(0 if tag == "ol" else None)
            case "pre":
                self._verbatim += 1
            case "a":
                self._link = given.get("href") or "", len(self._out)  # links hold no links
            case "img" if alt := (given.get("alt") or "").strip():
                self._out.append(f"[image: {alt}]")
            case "td" | "th":
                self._out.append(" | ")

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
            return
        if self._hidden:
            return
        match tag:
            case "a" if self._link:
                self._end_link(*self._link)
            case "ol" | "ul" if self._lists:
                self._lists.pop()
            case "pre":
                self._verbatim = max(0, self._verbatim - 1)
        if tag in _BLOCKS - _LINES:
            self._out.append("\n\n")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title = " ".join(f"{self.title} {data}".split())[:300]
        elif not self._hidden:
            self._out.append(data if self._verbatim else re.sub(r"\s+", " ", data))

    def _break(self, tag: str) -> None:
        self._out.append("\n" if tag in _LINES else "\n\n")
        if tag in _HEADINGS:
            self._out.append(f"{'#' * int(tag[1])} ")
        elif tag == "li":
            self._out.append(self._bullet())
        elif tag == "hr":
            self._out.append("---\n\n")

    def _bullet(self) -> str:
        indent = "  " * min(len(self._lists) - 1, 6)
        count = self._lists[-1] if self._lists else None
        if count is None:
            return f"{indent}- "
        self._lists[-1] = count + 1
        return f"{indent}{count + 1}. "

    def _end_link(self, target: str, begin: int) -> None:
        self._link = None
        words = " ".join("".join(self._out[begin:]).split())
        try:
            address = urljoin(self._base, target)
        except ValueError:
            address = ""
        if words and address.startswith(("http://", "https://", "mailto:")) and not target.startswith("#"):
            self._out[begin:] = [f"[{words}]({address})"]

    @property
    def text(self) -> str:
        text = "".join(self._out).replace("\r", "")
        text = "\n".join(line.rstrip() for line in text.split("\n"))
        text = re.sub(r"\n (?=\S)", "\n", text)
        text = re.sub(r"(?m)^[ ]?\|[ ]", "", text)
        return re.sub(r"\n{3,}", "\n\n", text).strip()


def readable(page: str, base: str) -> str:
    """The text of an HTML page, its title first; links are Markdown, made whole with the address `base`."""
    reader = _Reader(base)
    reader.feed(page)
    reader.close()
    title = reader.title
    return f"{title}\n\n{reader.text}".strip() if title and title not in reader.text[:400] else reader.text
