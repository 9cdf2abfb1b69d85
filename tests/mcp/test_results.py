"""What a server's result becomes: every kind of content, what repeats itself, what is too long."""

from __future__ import annotations

import base64

import mcp_types as types
import pytest

from agentnb.mcp.results import to_tool_return
from agentnb.messages import Audio, Content, Data, File, Image, Text
from agentnb.tools.base import ToolReturn

RAW = b"\x89PNG-like \x00\x01"
CODED = base64.b64encode(RAW).decode()


def of(*content: types.ContentBlock, kept: list[object] | None = None, **more: object) -> ToolReturn:
    values = [] if kept is None else kept

    def keep(value: object) -> str:
        values.append(value)
        return f"kept_{len(values)}"

    result = types.CallToolResult.model_validate({"content": list(content), **more})
    return to_tool_return(result, keep)


@pytest.mark.parametrize(
    ("content", "block"),
    [
        (types.TextContent(text="hi"), Text("hi")),
        (types.ImageContent(data=CODED, mime_type="image/webp"), Image(RAW, "image/webp")),
        (types.AudioContent(data=CODED, mime_type="audio/ogg"), Audio(RAW, "audio/ogg")),
        (
            types.ImageContent(data="?", mime_type="image/png"),
            Text("(image, image/png: the server sent no valid base64)"),
        ),
        (
            types.EmbeddedResource(resource=types.TextResourceContents(uri="note://1", text="words")),
            Text("note://1:\nwords"),
        ),
        (
            types.EmbeddedResource(
                resource=types.BlobResourceContents(uri="file:///a/my%20b.pdf", blob=CODED, mime_type="application/pdf")
            ),
            File("my b.pdf", RAW, "application/pdf"),
        ),
        (
            types.EmbeddedResource(
                resource=types.BlobResourceContents(uri="x://pic", blob=CODED, mime_type="image/gif")
            ),
            Image(RAW, "image/gif"),
        ),
        (
            types.ResourceLink(
                name="log", uri="file:///log.txt", mime_type="text/plain", size=1234, description="All."
            ),
            Text("log: file:///log.txt (text/plain, 1,234 bytes)\nAll."),
        ),
        (types.ResourceLink(name="log", title="The log", uri="x://log"), Text("The log: x://log")),
    ],
)
def test_every_kind_of_content_has_its_block(content: types.ContentBlock, block: Content) -> None:
    assert of(content) == ToolReturn((block,))


def test_the_order_is_kept_and_errors_stay_errors() -> None:
    text, image = types.TextContent(text="first"), types.ImageContent(data=CODED, mime_type="image/png")
    assert of(text, image, text, is_error=True) == ToolReturn(
        (Text("first"), Image(RAW, "image/png"), Text("first")), is_error=True
    )


def test_nothing_is_said_to_be_nothing() -> None:
    assert of() == ToolReturn((Text("(no output)"),))


def test_structured_content_is_kept_beside_the_words() -> None:
    assert of(types.TextContent(text="It is cold."), structured_content={"celsius": -3}).content == (
        Text("It is cold."),
        Data({"celsius": -3}),
    )


@pytest.mark.parametrize(
    ("text", "value", "block"),
    [
        ('{"celsius": -3}', {"celsius": -3}, Data({"celsius": -3})),
        ("3", {"result": 3}, Data({"result": 3})),
        ("plain words", {"result": "plain words"}, Text("plain words")),
        ("[1, 2]", [1, 2], Data([1, 2])),
    ],
)
def test_what_is_said_twice_is_told_once(text: str, value: object, block: Content) -> None:
    assert of(types.TextContent(text=text), structured_content=value).content == (block,)


def test_a_long_text_is_cut_and_the_whole_is_kept() -> None:
    kept: list[object] = []
    result = of(types.TextContent(text="a" * 100_000), kept=kept, is_error=True)
    assert (kept, result.handle, result.is_error) == (["a" * 100_000], "kept_1", True)
    (block,) = result.content
    assert isinstance(block, Text)
    assert len(block.text) < 41_000
    assert "`kept_1`" in block.text


def test_many_texts_are_cut_as_one() -> None:
    kept: list[object] = []
    result = of(*[types.TextContent(text=letter * 30_000) for letter in "abc"], kept=kept)
    assert kept == ["\n".join(letter * 30_000 for letter in "abc")]
    assert len(result.content) == 1


def test_long_data_is_kept_as_the_value_it_is() -> None:
    kept: list[object] = []
    value = {"rows": list(range(20_000))}
    result = of(structured_content=value, kept=kept)
    assert kept == [value]
    assert result.handle == "kept_1"


def test_beside_a_long_text_small_pictures_are_still_shown() -> None:
    kept: list[object] = []
    image = types.ImageContent(data=CODED, mime_type="image/png")
    result = of(types.TextContent(text="a" * 100_000), image, kept=kept)
    assert result.content[1:] == (Image(RAW, "image/png"),)
    assert kept == [(Text("a" * 100_000), Image(RAW, "image/png"))]
