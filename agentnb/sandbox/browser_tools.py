"""The browser as tools: every verb with its schema, what a person is asked, and the page as it looks afterwards."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from pathlib import Path

from agentnb.errors import ToolError
from agentnb.messages import Content, Image, JSONObject, Text, ToolSpec
from agentnb.render.terminal import visible
from agentnb.sandbox.browser import Browser
from agentnb.sandbox.browser_address import Address, parse_address, shown
from agentnb.sandbox.browser_snapshot import clean
from agentnb.sandbox.browser_verbs import VERBS, Said, Verb
from agentnb.tools import hints
from agentnb.tools.arguments import Arguments
from agentnb.tools.base import Choice, Question, Tool, ToolContext, ToolReturn, Traits
from agentnb.tools.docstrings import Documentation, parse_docstring

_REFS = ("ref", "start", "end")
_OPEN = (Choice("open", "Open"), Choice("no", "Do not open", "primary", reason=True))


class VerbTool:
    """One verb as a tool, called `browser_VERB`. `act` runs it and gives what the model is told."""

    parallel = False

    def __init__(self, browser: Browser, verb: Verb) -> None:
        self.name = f"browser_{verb.name}"
        self.traits = Traits(f"browser-{verb.name}", "browser", verb.approval)
        self._browser = browser
        self._verb = verb
        #: The private place that the person saw before allowing a call; of a call that was refused nothing is kept.
        self._previewed: tuple[str, tuple[str, int]] | None = None

    def __repr__(self) -> str:
        return f"<tool {self.name}>"

    def spec(self, namespace: MutableMapping[str, object]) -> ToolSpec:
        """What the model is told."""
        return ToolSpec(self.name, self._documentation.description, self._arguments.schema(namespace))

    def check(self, arguments: JSONObject, context: ToolContext) -> None:
        """Raises ToolError for arguments that do not fit."""
        self._bound(arguments, context)

    async def preview(self, arguments: JSONObject, context: ToolContext) -> tuple[Content, ...]:
        """What the call would do and where. Raises ToolError for a call that cannot work."""
        values = self._bound(arguments, context)
        self._previewed = None
        lines = [f"{name} = {_value(value)}" for name, value in values.items()]
        if (address := _address(values)) is not None:
            lines = [f"Open {visible(address.url)}"]  # all of it: what goes out may be in its end
            if await self._browser.is_private(address):
                lines.append(f"{address.host}:{address.port} is an address of this machine or of its own network.")
                self._previewed = (context.call_id, address.place)
        else:
            lines += filter(None, (self._browser.described(str(values[name])) for name in _REFS if name in values))
            lines += [f"on {shown(clean(url))}"] if (url := self._browser.url) else []
        return (Text("\n".join(lines)),)

    async def call(self, arguments: JSONObject, context: ToolContext) -> ToolReturn:
        """Do it. Raises ToolError."""
        values = self._bound(arguments, context)
        if (address := _address(values)) is not None:
            await self._permit(address, context)
        verb = self._verb
        if not verb.in_page:
            return _returned(await verb.act(self._browser, **values))
        act = functools.partial(verb.act, **values)
        said, seen = await self._browser.do(self.name, act, seconds=verb.seconds, looks=verb.looks)
        if seen.picture:
            context.emit(Image(seen.picture, "image/jpeg", alt=f"after {self.name}"))
        return _returned(said, seen.text)

    async def _permit(self, address: Address, context: ToolContext) -> None:
        """A private address is opened where the person has seen it: before the call, or now."""
        if address.place in self._browser.allowed or not await self._browser.is_private(address):
            return
        if not (context.call_id and (context.call_id, address.place) == self._previewed):
            reply = await context.asker.ask(_question(address)) if context.asker else None
            if reply is None or reply.choice != "open":
                reason = f" They said: {reply.reason}" if reply and reply.reason else ""
                raise ToolError(
                    f"{address.host}:{address.port} is a private address, and nobody allowed it.{reason} "
                    "A person can: browser.open(url), or Browser(allow=[url])."
                )
        self._previewed = None
        self._browser.permit(address.url)

    def _bound(self, arguments: JSONObject, context: ToolContext) -> dict[str, object]:
        return self._arguments.bind(arguments, context.namespace)[1]

    @functools.cached_property
    def _documentation(self) -> Documentation:
        return parse_docstring(self._verb.act.__doc__)

    @functools.cached_property
    def _arguments(self) -> Arguments:
        act = self._verb.act
        found = hints.parameters(act, self.name)[1:]  # the first is the browser or its tabs
        known = [each.replace(annotation=hints.resolve(each, act, {}, tool=self.name)) for each in found]
        return Arguments(self.name, known, self._documentation.parameters)


def _address(values: Mapping[str, object]) -> Address | None:
    return parse_address(str(values["url"])) if "url" in values else None


def _question(address: Address) -> Question:
    where = f"{address.host}:{address.port} is an address of this machine or of its own network."
    return Question(f"Open {shown(clean(address.url))}?", (Text(where),), choices=_OPEN)


def _value(value: object) -> str:
    return visible(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _returned(said: Said, seen: str = "") -> ToolReturn:
    first: tuple[Content, ...] = (said,) if isinstance(said, Image) else (Text(said),) if said else ()
    return ToolReturn((*first, Text(seen)) if seen else first or (Text("Done."),))


# What is done with the browser itself, not in a page


async def recordings(browser: Browser) -> str:
    """List what was recorded: the pictures taken after each action, one recording for each start of the browser."""
    return "\n".join(map(str, browser.recordings.all())) or "There are no recordings yet."


async def recording_download(browser: Browser, recording: str) -> str:
    """Save a recording into the notebook's folder: a zip file of its pictures in order, with an index.

    Args:
        recording: its name in browser_recordings.
    """
    data = browser.recordings.packed(recording)
    path = _write_new(browser.folder / f"browser-{recording}.zip", data)
    return f"Saved as {path} ({len(data):,} bytes)."


async def recording_delete(browser: Browser, recording: str) -> str:
    """Delete a recording.

    Args:
        recording: its name in browser_recordings.
    """
    browser.recordings.delete(recording)
    return f"{recording} is deleted."


async def vnc_url(browser: Browser) -> str:
    """Where a person could watch the browser by VNC."""
    del browser
    return "There is none: this browser has no screen. Its pictures show in the notebook after each action."


async def cdp_url(browser: Browser) -> str:
    """Where other programs reach this browser by the Chrome DevTools Protocol."""
    return await browser.cdp_url()


_ERRANDS: tuple[tuple[Callable[..., Awaitable[Said]], bool], ...] = (
    (recordings, False),
    (recording_download, True),
    (recording_delete, True),
    (vnc_url, False),
)


def browser_tools(browser: Browser) -> list[Tool]:
    """All tools of a browser; `browser_cdp_url` is among them where it was started with a debugging port."""
    errands = [*_ERRANDS, *([(cdp_url, True)] if browser.debugging else [])]
    verbs = [*VERBS, *(Verb(act, "ask" if asks else "always", in_page=False) for act, asks in errands)]
    return [VerbTool(browser, verb) for verb in verbs]


class BrowserTools:
    """The toolset "browser" over one browser; a person switches it on."""

    name = "browser"
    off_by_default = True

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self._tools = browser_tools(browser)

    def known(self) -> Sequence[Tool]:
        """All of them: nothing has to be started to know them."""
        return self._tools

    async def ready(self) -> Sequence[Tool]:
        """The same; the browser starts with the first call."""
        return self._tools


def _write_new(path: Path, data: bytes) -> Path:
    """Write a file beside those that are there. Raises ToolError."""
    for number in range(1, 1000):
        target = path if number == 1 else path.with_stem(f"{path.stem}-{number}")
        try:
            with target.open("xb") as out:
                out.write(data)
        except FileExistsError:
            continue
        except OSError as error:
            raise ToolError(f"{target} cannot be written: {error.strerror}.") from error
        return target
    raise ToolError(f"there are too many files like {path.name} in {path.parent}.")
