"""A conversation as one HTML page that needs nothing else: no script, nothing fetched, light and dark."""

from __future__ import annotations

from collections.abc import Callable

from agentnb.exporting.conversation import Conversation, Said
from agentnb.exporting.displays import displays
from agentnb.exporting.heading import about, title
from agentnb.render import Bundle
from agentnb.render.cards import escape
from agentnb.render.terminal import one_line

_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
#: From how many turns on there is a list of them.
_MANY = 4
_STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --paper: #ffffff; --quiet: #656d76; --line: #d8dee4;
  --prompt: #f3f6fa; --code: #f3f4f6; --link: #0b63ce; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e2e5e9; --paper: #15181c; --quiet: #9aa2ab; --line: #343a41; --prompt: #1e252e; --code: #20252b;
    --link: #74b0ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: break-word;
  font: 15px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 860px; margin: 0 auto; padding: 32px 20px 80px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; }
.about, nav { color: var(--quiet); font-size: 13px; }
nav { margin-top: 16px; } nav ol { margin: 8px 0 0; padding-left: 28px; columns: 2 300px; column-gap: 32px; }
section { border-top: 1px solid var(--line); margin-top: 28px; padding-top: 20px; }
.prompt { background: var(--prompt); border-radius: 8px; padding: 10px 14px; margin-bottom: 12px;
  white-space: pre-wrap; }
.sent { font-size: 13px; margin: -4px 0 12px; color: var(--quiet); }
.number { float: right; color: var(--quiet); font-size: 12px; text-decoration: none; padding: 8px 14px 0 12px; }
section h1 { font-size: 21px; } section h2 { font-size: 18px; } section h3 { font-size: 16px; }
a { color: var(--link); }
pre { background: var(--code); border-radius: 6px; padding: 10px 12px; overflow: auto; white-space: pre-wrap; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 0.9em; }
:not(pre) > code { background: var(--code); border-radius: 4px; padding: 1px 4px; }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: 12px 0; }
th, td { border: 1px solid var(--line); padding: 4px 10px; text-align: left; }
blockquote { margin: 12px 0; padding-left: 14px; border-left: 3px solid var(--line); color: var(--quiet); }
img { max-width: 100%; height: auto; background: #ffffff; border-radius: 4px; }
@media print { section { break-inside: avoid-page; } nav { display: none; } }
"""
#: What the page may load, however something got into it: nothing but what it holds.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; form-action 'none'"


def page(conversation: Conversation) -> str:
    """The conversation as HTML. All that a person, a model or a tool said is escaped."""
    read = _reader()
    name = escape(title(conversation))
    turns = "".join(_section(said, read) for said in conversation.turns)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{name}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>{name}</h1>\n<div class="about">{escape(about(conversation))}</div>\n'
        f"{_contents(conversation)}{turns}</main>\n</body>\n</html>\n"
    )


def _contents(conversation: Conversation) -> str:
    if len(conversation.turns) < _MANY:
        return ""
    rows = "".join(
        f'<li><a href="#turn-{said.number}">{escape(one_line(said.prompt, 80)) or "…"}</a></li>'
        for said in conversation.turns
    )
    opened = " open" if len(conversation.turns) <= 50 else ""
    return (
        f"<nav><details{opened}><summary>{len(conversation.turns):,} turns</summary><ol>{rows}</ol></details></nav>\n"
    )


def _section(said: Said, read: Callable[[str], str]) -> str:
    number = said.number
    parts = [
        f'<section id="turn-{number}">\n<a class="number" href="#turn-{number}">{number}</a>'
        f'<div class="prompt">{escape(said.prompt.strip())}</div>'
    ]
    if said.sent.strip() != said.prompt.strip():
        parts.append(
            '<details class="sent"><summary>As the model read it</summary>'
            f"<pre><code>{escape(said.sent)}</code></pre></details>"
        )
    parts += [_shown(bundle, read) for bundle in displays(said)]
    return "\n".join([*parts, "</section>\n"])


def _shown(bundle: Bundle, read: Callable[[str], str]) -> str:
    data = bundle.data
    for kind in _PICTURES:
        if kind in data:
            alt = escape(str(data.get("text/plain", "")).removeprefix("[").removesuffix("]"))
            return f'<p><img src="data:{kind};base64,{data[kind]}" alt="{alt}"></p>'
    if "text/markdown" in data:
        return read(str(data["text/markdown"]))
    if "text/html" in data:
        return str(data["text/html"])
    return f"<pre>{escape(str(data.get('text/plain', '')))}</pre>"


def _reader() -> Callable[[str], str]:
    """Markdown, made safe before (see render.markdown), as HTML. Pictures are not: they would be fetched."""
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
    return lambda text: str(made.render(text))
