"""A model's Markdown, made safe for every front end: HTML is shown as text, links lead only where links may lead.

JupyterLab puts a trusted output's Markdown into the page without its sanitizer, so what is not escaped here runs.
Front ends disagree about what is code and what is math; wherever they could, HTML inside code is broken up too.
"""

from __future__ import annotations

import html
import re
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agentnb.render.terminal import clean

_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_IMAGE = re.compile(r"!+(?=\[)")
#: Without one of these, no `![` is a picture.
_TARGET = re.compile(r"\][(\[:]")
#: Where a destination begins: an inline link or image, a reference definition, TeX's \href and friends.
_DESTINATION = re.compile(r"\](?=[(:])|\\(?=(?:href|url|includegraphics)\b)")
_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*:", re.IGNORECASE)
_SAFE_SCHEMES = ("http:", "https:", "mailto:")
_MATH = re.compile(
    r"(?<!\\)(?:\$\$.+?\$\$|\$(?![\s$])[^$\n]*?[^\s$\\]\$|\\\(.+?\\\)|\\\[.+?\\\]|\\begin\{([a-z]+\*?)\}.+?\\end\{\1\})",
    re.DOTALL,
)
_MAY_BE_MATH = re.compile(r"\$|\\[(\[]|\\begin\b")
_CONTAINER = r"(?:[ \t>]|[-*+][ \t]|\d{1,9}[.)][ \t])*"
_FENCE = re.compile(rf"({_CONTAINER})(`{{3,}}|~{{3,}})([^\n]*)")
_PLAIN_SPAN = re.compile(r"(`+)[^`\n|\[\]\\]+\1")
_RUN = re.compile(r"\\[\\`]|`+")
_ADDRESS = re.compile(r"(?:[:@]|www\.|\S{400})\S*\Z", re.IGNORECASE)
_BLANK = re.compile(r"(\n[ \t>]*\n)")
_ZERO_WIDTH_SPACE = "\u200b"
_Kind: TypeAlias = Literal["words", "fence", "nested", "span", "odd"]


@dataclass(frozen=True, slots=True)
class _Region:
    """A stretch of the text: words, a fenced block at the margin, one in a list or a quote, a code span.

    An odd span stands in a paragraph with an escaped backtick, or right after an address that may go on into it.
    """

    kind: _Kind
    text: str
    pictures: bool = False

    @property
    def hazard(self) -> bool:
        """Whether this code would do harm if it were not taken for code."""
        return self.kind != "words" and self.broken != self.text

    @property
    def broken(self) -> str:
        """The code, with invisible characters that keep HTML and links apart."""
        code = _TAG.sub("<" + _ZERO_WIDTH_SPACE, self.text)
        if self.pictures:
            code = _IMAGE.sub(r"\g<0>" + _ZERO_WIDTH_SPACE, code)
        return _DESTINATION.sub(lambda m: m[0] + (_ZERO_WIDTH_SPACE if _unsafe(m) else ""), code)

    @property
    def doubtful(self) -> bool:
        """Front ends disagree about a span with marks of their own in it, and a fence that looks like a table's row."""
        if self.kind == "span":
            return _PLAIN_SPAN.fullmatch(self.text) is None
        opening = self.text.partition("\n")[0]
        return self.kind == "odd" or "|" in opening or _Region(self.kind, opening, self.pictures).hazard


def safe(text: str) -> str:
    """`text` such that no renderer finds HTML, a picture to load, or a link to anything but a page or an address."""
    text = clean(text)
    regions = list(_regions(text, pictures=_TARGET.search(text) is not None))
    hazards = any(region.hazard for region in regions)
    # Where math may begin, math may swallow the mark that begins or ends code; never in a fence at the margin.
    math = hazards and any(region.kind != "fence" and _MAY_BE_MATH.search(region.text) for region in regions)
    out = _join(regions, broken=math)
    if hazards and not math and not _verified(out):
        out = _join(regions, broken=True)
    return out


def fenced(text: str, language: str = "") -> str:
    """`text` as a code block: the fence is longer than any run of backticks within."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    end = "" if text.endswith("\n") or not text else "\n"
    return f"{fence}{language}\n{text}{end}{fence}\n"


def _join(regions: list[_Region], *, broken: bool) -> str:
    out: list[str] = []
    for region in regions:
        if region.kind == "words":
            out.append(_escape(region.text))
            continue
        out.append(region.broken if broken or region.doubtful else region.text)
    return "".join(out)


def _escape(text: str) -> str:
    """Outside code. Math keeps its meaning: TeX does not mind a space."""
    out, end = [], 0
    for match in _MATH.finditer(text):
        out.append(_escape_words(text[end : match.start()]))
        out.append(_IMAGE.sub(r"\g<0> ", _TAG.sub("< ", match[0])))
        end = match.end()
    out.append(_escape_words(text[end:]))
    return _defuse_destinations("".join(out))


def _escape_words(text: str) -> str:
    return _IMAGE.sub("", _TAG.sub("&lt;", text))


def _defuse_destinations(text: str) -> str:
    return _DESTINATION.sub(lambda m: m[0] + "\\" if _unsafe(m) else m[0], text)


def _unsafe(match: re.Match[str]) -> bool:
    """Whether the destination after `match` has a scheme that is not allowed, however it is disguised."""
    target = match.string[match.end() : match.end() + 400]
    target = re.sub(r"^[A-Za-z]*\s*[({:]", "", target)
    target = html.unescape(html.unescape(target)).replace("\\", "")
    # A URL's parser drops blanks and controls; a quote mark or an angle bracket may stand before the destination.
    target = re.sub(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2060\ufeff\xad]+", "", target).lstrip("<>")
    scheme = _SCHEME.match(target)
    return scheme is not None and scheme[0].lower() not in _SAFE_SCHEMES


def _regions(text: str, *, pictures: bool) -> Iterator[_Region]:
    """Fenced blocks, then code spans within the rest, in order. A fence left open is closed."""
    words: list[str] = []
    code: list[str] = []
    kind: _Kind = "fence"
    fence = ""
    for line in text.splitlines(keepends=True):
        match = None if fence else _FENCE.match(line)
        if match and not (match[2][0] == "`" and "`" in match[3]):
            # What stands before the fence (a quote mark, a bullet) is not code.
            yield from _spans("".join(words) + match[1], pictures=pictures)
            kind = "nested" if match[1] else "fence"
            words, fence, code = [], match[2], [line[match.end(1) :]]
        elif fence:
            code.append(line)
            mark = line.strip(" \t>\n")
            if mark.startswith(fence) and not mark.strip(fence[0]):
                yield _Region(kind, "".join(code), pictures)
                fence = ""
        else:
            words.append(line)
    if fence:
        yield _Region(kind, "".join(code) + ("" if code[-1].endswith("\n") else "\n") + fence, pictures)
    else:
        yield from _spans("".join(words), pictures=pictures)


def _spans(text: str, *, pictures: bool) -> Iterator[_Region]:
    """Code spans, which never cross a blank line, and what is around them."""
    for paragraph in _BLANK.split(text):
        escaped = "\\`" in paragraph
        closers = _closers(paragraph)
        end = 0
        for run in _RUN.finditer(paragraph):
            if run.start() < end or run[0][0] != "`":
                continue
            later = closers[len(run[0])]
            while later and later[0] < run.end():
                later.popleft()
            if later:
                close = later[0] + len(run[0])
                yield _Region("words", paragraph[end : run.start()])
                odd = escaped or _ADDRESS.search(paragraph, max(0, run.start() - 500), run.start())
                yield _Region("odd" if odd else "span", paragraph[run.start() : close], pictures)
                end = close
        yield _Region("words", paragraph[end:])


def _closers(paragraph: str) -> defaultdict[int, deque[int]]:
    """Where runs of backticks start, by their length: within code a backslash means nothing."""
    found: defaultdict[int, deque[int]] = defaultdict(deque)
    for run in re.finditer("`+", paragraph):
        found[len(run[0])].append(run.start())
    return found


def _verified(text: str) -> bool:
    """Whether CommonMark, with HTML allowed, finds none of what `safe` promises not to leave."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": True})
    reader.validateLink = bool  # type: ignore[method-assign, assignment]  # its own filter would hide what we look for
    return all(_harmless(token) for token in reader.parse(text))


def _harmless(token: object) -> bool:
    kind = getattr(token, "type", "")
    if kind in ("html_block", "html_inline", "image"):
        return False
    if kind == "link_open":
        scheme = _SCHEME.match(str(getattr(token, "attrs", {}).get("href", "")))
        return scheme is None or scheme[0].lower() in _SAFE_SCHEMES
    return all(_harmless(child) for child in getattr(token, "children", None) or ())
