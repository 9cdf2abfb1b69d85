from __future__ import annotations

import asyncio
import base64
import gc
import io
import subprocess
import sys
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio
import numpy as np
import PIL.Image
import pytest

from agentnb import messages
from agentnb.errors import ConnectionFailed, UsageError
from agentnb.messages import Audio, Block, File, Image, Message, Text, ToolResult
from agentnb.models import media
from agentnb.models.dialect import Limits
from agentnb.models.media import Fitter, fitted
from tests.test_pixels import bomb

pytestmark = pytest.mark.anyio

WAV = b"RIFF\0\0\0\0WAVEfmt "
PDF = b"%PDF-1.7"
INSIDE = (
    *("127.0.0.1", "[::1]", "nas", "x:y", "localhost.", "a.localhost.", "169.254.169.254.", "2130706433"),
    *("127.1", "0x7f.1", "0177.0.0.1", "0x7f000001", "127.0.0.1."),  # as the C library reads an address
)
SOUND = Limits(audio_types=("audio/wav", "audio/mp3"), audio_bytes=100)


@dataclass(frozen=True)
class Page:
    status: int = 200
    body: bytes = b""


@dataclass
class Web:
    """What is at which address; remembers what was asked."""

    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)

    async def get(self, url: str, *, headers: Mapping[str, str], limit: int) -> Page:
        assert headers == {}
        self.asked.append((url, limit))
        if url not in self.pages:
            raise ConnectionFailed("No host named x.")
        return self.pages[url]


def _saved(picture: PIL.Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _noise(width: int, height: int) -> PIL.Image.Image:
    return PIL.Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8))


PNG = _saved(PIL.Image.new("RGB", (30, 20), "red"), "PNG")


async def _one(block: Block, limits: Limits | None = None, web: Web | None = None) -> Block:
    (message,) = await fitted((messages.user(block),), limits or Limits(), http=web or Web(), model="p:m")
    (out,) = message.content
    return out


async def _image(block: Image, limits: Limits | None = None, web: Web | None = None) -> Image:
    out = await _one(block, limits, web)
    assert isinstance(out, Image)
    return out


def _opened(image: Image) -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(image.data))


async def test_a_conversation_without_media_is_the_same_tuple() -> None:
    conversation = (messages.user("a"), Message("tool", (ToolResult("1", "f", (Text("x"),)),)))
    assert await fitted(conversation, Limits(), http=Web(), model="m") is conversation


async def test_what_fits_stays_the_same_object() -> None:
    gif = _saved(_noise(8, 8).convert("P"), "GIF", save_all=True, append_images=[PIL.Image.new("P", (8, 8))])
    conversation = (messages.user(Image(PNG), Image(gif, "image/gif"), Image(url="https://x/y.png")),)
    assert await fitted(conversation, Limits(), http=Web(), model="m") is conversation


async def test_the_bytes_say_the_type_whatever_the_label_says() -> None:
    assert await _one(Image(PNG, "image/jpeg", alt="a")) == Image(PNG, "image/png", alt="a")
    assert await _one(Audio(WAV, "audio/mpeg"), SOUND) == Audio(WAV, "audio/wav")
    limits = Limits(file_types=("application/pdf", "text/*"))
    assert await _one(File("a", PDF), limits) == File("a", PDF, "application/pdf")
    plain = File("a.csv", b"a,b", "text/csv; charset=utf-8")
    assert await _one(plain, limits) == File("a.csv", b"a,b", "text/csv")


async def test_a_type_has_the_name_that_the_provider_gives_it() -> None:
    assert await _one(Audio(b"\xff\xfb\x90\x64", "audio/mpeg"), SOUND) == Audio(b"\xff\xfb\x90\x64", "audio/mp3")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_a_large_picture_is_scaled_and_keeps_its_format(kind: str) -> None:
    limits = Limits(image_side=50)
    out = await _image(Image(_saved(_noise(200, 100), kind)), limits)
    assert (_opened(out).size, _opened(out).format) == ((50, 25), kind)
    assert out.media_type == f"image/{kind.lower()}"


async def test_a_heavy_picture_loses_no_detail_before_it_must() -> None:
    flat = PIL.Image.new("RGB", (600, 600), "red")
    heavy = _saved(flat, "PNG", compress_level=0)
    out = await _image(Image(heavy), Limits(image_bytes=100_000))
    assert (out.media_type, _opened(out).size) == ("image/png", (600, 600))
    out = await _image(Image(_saved(_noise(600, 600), "PNG")), Limits(image_bytes=300_000))
    assert (out.media_type, _opened(out).size) == ("image/jpeg", (600, 600))
    out = await _image(Image(_saved(_noise(600, 600), "PNG")), Limits(image_bytes=20_000))
    assert out.media_type == "image/jpeg"
    assert len(out.data) <= 20_000


@pytest.mark.parametrize("kind", ["BMP", "TIFF"])
async def test_a_type_that_is_not_taken_becomes_png(kind: str) -> None:
    out = await _image(Image(_saved(_noise(20, 10), kind)))
    assert (out.media_type, _opened(out).format, _opened(out).size) == ("image/png", "PNG", (20, 10))
    kept = Image(_saved(_noise(20, 10), kind), f"image/{kind.lower()}")
    assert await _one(kept, Limits(image_types=(kept.media_type,))) is kept


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"hello", "no picture"),
        (WAV, "audio/wav"),
        (b"<svg></svg>", "Save it as PNG"),
        (PNG[:40], "cannot be read as a picture"),
        (_saved(_noise(99, 99), "JPEG")[:2000], "cannot be read as a picture"),
        (bomb(60_000), "cannot be read as a picture"),
        (bomb(20_000), "cannot be read as a picture"),
        (b"\0\0\0\x20ftypheic", "cannot be read as a picture"),
    ],
)
async def test_what_is_no_picture_is_an_error_that_names_it(data: bytes, said: str) -> None:
    with pytest.raises(UsageError, match="The picture 'Sales' ") as raised:
        await _one(Image(data, alt="Sales"))
    assert said in str(raised.value)


async def test_a_picture_with_an_unusual_end_is_sent_as_it_is() -> None:
    odd = Image(PNG + bytes(100))
    assert await _one(odd) is odd


def test_without_pillow_an_error_says_what_to_install() -> None:
    code = (
        "import asyncio, sys; sys.modules['PIL'] = None\n"
        "from agentnb.errors import UsageError; from agentnb import messages; from agentnb.models import media\n"
        "from agentnb.models.dialect import Limits\n"
        f"message = messages.user(messages.Image({PNG!r}))\n"
        "def fit(limits): return asyncio.run(media.fitted((message,), limits, http=None, model='m'))\n"
        "print(fit(Limits())[0] is message)\n"
        "try: fit(Limits(image_side=10))\n"
        "except UsageError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "True\nThe picture must be scaled or converted for m. Run: pip install pillow\n", done.stderr


@pytest.mark.parametrize(
    ("block", "limits", "said"),
    [
        (Audio(WAV), Limits(), "p:m takes no sounds"),
        (Image(PNG), Limits(image_types=()), "p:m takes no pictures"),
        (File("a.pdf", PDF), Limits(), "p:m takes no documents"),
        (Audio(b"OggS"), SOUND, "The sound is audio/ogg, which p:m does not take. It takes audio/wav, audio/mp3"),
        (Audio(WAV + bytes(100)), SOUND, "The sound is 0.0 MB, and p:m takes 0.0 MB"),
        (Audio(b""), SOUND, "The sound is empty"),
        (File("a.zip", b"PK"), Limits(file_types=("application/pdf",)), "'a.zip' is application/octet-stream"),
    ],
)
async def test_what_a_model_does_not_take_is_an_error_that_names_it(block: Block, limits: Limits, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        await _one(block, limits)
    assert said in str(raised.value)


async def test_an_address_is_fetched_where_the_provider_does_not() -> None:
    web = Web({"https://x/y.png": Page(body=PNG), "http://x/a.wav": Page(body=WAV)})
    image = Image(url="https://x/y.png", alt="a")
    assert await _one(image, Limits(image_urls=False), web) == Image(PNG, "image/png", alt="a")
    assert await _one(Audio(url="http://x/a.wav"), SOUND, web) == Audio(WAV)
    assert [limit for _, limit in web.asked] == [50_000_000, 100]
    kept = File("v", media_type="video/mp4", url="https://x/v.mp4")
    assert await _one(kept, Limits(file_types=("video/mp4",), file_urls=True), web) is kept


async def test_a_data_address_is_decoded() -> None:
    url = f"data:image/jpeg;base64,{base64.b64encode(PNG).decode()}"
    assert await _one(Image(url=url)) == Image(PNG, "image/png")
    assert await _one(File("a", url="data:text/plain,a%20b"), Limits(file_types=("text/plain",))) == File(
        "a", b"a b", "text/plain"
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("file:///etc/passwd", "is not at an http(s) address"),
        ("/etc/passwd", "is not at an http(s) address"),
        ("ftp://x/y.png", "is not at an http(s) address"),
        ("oss://x/y.png", "is not at an http(s) address"),
        ("https://x/gone.png", "cannot be fetched: HTTP 404"),
        ("https://nowhere/y.png", "cannot be fetched: No host named x."),
        ("https://x/large.png", "has more than 50 MB"),
        ("https://x/page.png", "is no picture"),
        ("data:image/png;base64,%%%", "cannot be decoded"),
        ("data:image/png", "cannot be decoded"),
    ],
)
async def test_an_address_that_gives_no_picture_is_an_error(url: str, said: str) -> None:
    pages = {"gone": Page(404), "large": Page(body=bytes(50_000_001)), "page": Page(body=b"<html>")}
    web = Web({f"https://x/{name}.png": page for name, page in pages.items()})
    with pytest.raises(UsageError) as raised:
        await _one(Image(url=url), Limits(image_urls=False), web)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


async def test_what_a_tool_returns_never_fails_the_run() -> None:
    large = Image(_saved(_noise(200, 100), "PNG"))
    result = ToolResult("1", "f", (Text("ok"), Image(b"hello"), Audio(WAV), large, Image(PNG)))
    inside = ToolResult("2", "f", tuple(Image(url=f"http://{host}/x") for host in INSIDE))
    made = messages.assistant("see", Image(b"broken"))
    conversation = (Message("tool", (result, inside)), made)
    limits = Limits(image_side=50, image_urls=False)
    tool, assistant = await fitted(conversation, limits, http=Web(), model="p:m")
    told = tool.content[0]
    assert isinstance(told, ToolResult)
    assert isinstance(told.content[3], Image)
    assert _opened(told.content[3]).size == (50, 25)
    assert told.content[4] is result.content[4]
    assert told.content[:3] == (
        Text("ok"),
        Text("(The picture is no picture: p:m takes image/png, image/jpeg, image/gif, image/webp.)"),
        Text("(p:m takes no sounds. Leave it out, or choose another model.)"),
    )
    told = tool.content[1]
    assert isinstance(told, ToolResult)
    assert all(isinstance(b, Text) and "is not fetched" in b.text for b in told.content)
    assert "no picture" in assistant.text


async def test_a_message_is_fitted_once_for_as_long_as_it_lives() -> None:
    web = Web({"https://x/y.png": Page(body=PNG)})
    fitter = Fitter(Limits(image_urls=False))
    asked, other = messages.user(Image(url="https://x/y.png")), messages.user("b", Image(PNG))
    first = await fitter.fit((asked, other), http=web, model="m")
    again = await fitter.fit((asked, other, messages.user("more")), http=web, model="m")
    assert again[0] is first[0]
    assert first[1] is other
    assert len(web.asked) == 1
    gone = weakref.ref(asked), weakref.ref(other)
    del asked, other, first, again
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


async def test_an_address_that_never_ends_holds_nobody_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Web):
        async def get(self, url: str, *, headers: Mapping[str, str], limit: int) -> Page:
            await asyncio.Event().wait()
            return await super().get(url, headers=headers, limit=limit)

    monkeypatch.setattr(media, "_FETCH_SECONDS", 0)
    with anyio.fail_after(5), pytest.raises(UsageError, match="takes more than 0 s to fetch"):
        await _one(Image(url="https://x/y.png"), Limits(image_urls=False), Slow())
