from __future__ import annotations

import base64
import tempfile
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from agentnb.errors import UsageError
from agentnb.messages import (
    Audio,
    Block,
    Content,
    Data,
    File,
    Image,
    JSONObject,
    Message,
    Opaque,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    assistant,
    system,
    user,
)
from agentnb.models.formatting import ChatFormatter, LocalFiles, MultiAgentFormatter

_PICTURE = Image(b"picture", "image/png")
_SOUND = Audio(b"sound", "audio/wav")
_FILM = File("film.mp4", b"film", "video/mp4")
_WEB = Image(url="https://example.org/a.png")
PROVIDERS = ["openai", "deepseek", "anthropic", "gemini", "ollama", "dashscope"]


class Shelf:
    """Files that are kept in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def read(self, address: str) -> bytes | None:
        return self.kept.get(address)

    def save(self, data: bytes, media_type: str) -> str:
        address = f"/shelf/{len(self.kept)}.{media_type.partition('/')[2]}"
        self.kept[address] = data
        return address


def _tool(call_id: str, *content: Content, is_error: bool = False) -> Message:
    return Message("tool", (ToolResult(call_id, "look", content, is_error),))


def _chat(provider: str, *messages: Message) -> list[JSONObject]:
    return ChatFormatter(provider, files=Shelf()).format(messages)


def test_a_provider_that_is_not_known_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError) as raised:
        ChatFormatter("gemni")
    assert str(raised.value) == (
        "There is no format for 'gemni'. Did you mean 'gemini'? "
        "There is: openai, deepseek, anthropic, gemini, ollama, dashscope."
    )
    with pytest.raises(UsageError):
        MultiAgentFormatter("")


def test_what_a_provider_cannot_be_shown_of_a_result_is_refused_at_once() -> None:
    with pytest.raises(UsageError) as raised:
        ChatFormatter("gemini", promote=("image", "audio"))
    assert str(raised.value) == snapshot("gemini cannot be shown audio of a tool's result, only: image.")
    with pytest.raises(UsageError, match="only: nothing"):
        MultiAgentFormatter("deepseek", promote=["image"])


@pytest.mark.parametrize("provider", PROVIDERS)
def test_nothing_said_is_nothing_sent(provider: str) -> None:
    assert _chat(provider, Message("assistant", ()), Message("user", (Opaque("other", {"a": 1}),))) == []
    assert MultiAgentFormatter(provider).format([]) == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_no_json_is_an_error_of_ours(provider: str) -> None:
    with pytest.raises(UsageError, match="cannot be written as JSON"):
        _chat(provider, user(Data({"a": object()})))  # type: ignore[dict-item]  # the point of the test


@pytest.mark.parametrize("provider", PROVIDERS)
def test_arguments_that_were_cut_off_are_none(provider: str) -> None:
    whole = _chat(provider, assistant(ToolCall("1", "look", "{}")))
    assert _chat(provider, assistant(ToolCall("1", "look", '{"a": 1'))) == whole


def test_shown_media_follow_the_last_result_of_a_round() -> None:
    calls = assistant(ToolCall("1", "look"), ToolCall("2", "look"))
    both = Message("tool", (*_tool("1", _PICTURE).content, *_tool("2", Text("a"), _WEB).content))
    formatter = ChatFormatter("openai", promote=["image"], files=Shelf())
    together = formatter.format([calls, both, assistant("Done")])
    apart = formatter.format([calls, _tool("1", _PICTURE), _tool("2", Text("a"), _WEB), assistant("Done")])
    assert [message["role"] for message in together] == ["assistant", "tool", "tool", "user", "user", "assistant"]
    assert [message["role"] for message in apart] == [message["role"] for message in together]
    assert together[1:5] == snapshot(
        [
            {
                "role": "tool",
                "tool_call_id": "1",
                "content": "The returned image can be found at: /shelf/0.png",
                "name": "look",
            },
            {
                "role": "tool",
                "tool_call_id": "2",
                "content": """\
- a
- The returned image can be found at: https://example.org/a.png\
""",
                "name": "look",
            },
            {
                "role": "user",
                "name": "user",
                "content": [
                    {
                        "type": "text",
                        "text": "<system-info>The following are the image contents from the tool result of 'look':",
                    },
                    {
                        "type": "text",
                        "text": """\

- The image from '/shelf/0.png': \
""",
                    },
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,cGljdHVyZQ=="}},
                    {"type": "text", "text": "</system-info>"},
                ],
            },
            {
                "role": "user",
                "name": "user",
                "content": [
                    {
                        "type": "text",
                        "text": "<system-info>The following are the image contents from the tool result of 'look':",
                    },
                    {
                        "type": "text",
                        "text": """\

- The image from 'https://example.org/a.png': \
""",
                    },
                    {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                    {"type": "text", "text": "</system-info>"},
                ],
            },
        ]
    )
    again = ChatFormatter("openai", promote=["image"], files=Shelf())
    assert again.format([calls, both]) == together[:5]


def test_dashscope_is_shown_all_kinds_of_media() -> None:
    formatter = ChatFormatter("dashscope", promote=("image", "audio", "video"), files=Shelf())
    assert formatter.format([_tool("1", _SOUND, _FILM)])[1] == snapshot(
        {
            "role": "user",
            "content": [
                {"text": "<system-info>The following are the media contents from the tool result of 'look':"},
                {
                    "text": """\

- The audio from '/shelf/0.wav': \
"""
                },
                {"audio": "data:audio/wav;base64,c291bmQ="},
                {
                    "text": """\

- The video from '/shelf/1.mp4': \
"""
                },
                {"video": "data:video/mp4;base64,ZmlsbQ=="},
                {"text": "</system-info>"},
            ],
        }
    )


def test_openai_is_sent_names_it_takes_and_no_thoughts() -> None:
    ada = Message("assistant", (Thinking("hm"), Text("Hi"), ToolCall("1", "a b", '{"x":1}')), name="Ada B.")
    assert _chat("openai", ada) == snapshot(
        [
            {
                "role": "assistant",
                "name": "Ada_B_",
                "content": [{"type": "text", "text": "Hi"}],
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "a_b", "arguments": '{"x":1}'}}],
            }
        ]
    )


def test_deepseek_gets_its_thoughts_back_and_no_pictures() -> None:
    assert _chat("deepseek", assistant(Thinking("hm"), "Hi"), user("a", Data([1]))) == snapshot(
        [
            {"role": "assistant", "content": "Hi", "reasoning_content": "hm"},
            {
                "role": "user",
                "content": """\
a
[1]\
""",
            },
        ]
    )
    with pytest.raises(UsageError) as raised:
        _chat("deepseek", user(_PICTURE))
    assert str(raised.value) == snapshot("DeepSeek takes no image/png here. Leave it out, or ask another model.")


def test_anthropic_gets_results_with_their_media_in_one_message() -> None:
    results = Message("tool", (*_tool("1", _WEB, _SOUND).content, *_tool("2", Text("no"), is_error=True).content))
    assert _chat("anthropic", results) == snapshot(
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "1",
                        "content": [
                            {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
                            {
                                "type": "text",
                                "text": "(Anthropic takes no audio/wav here. Leave it out, or ask another model.)",
                            },
                        ],
                    },
                    {
                        "type": "tool_result",
                        "tool_use_id": "2",
                        "content": [{"type": "text", "text": "no"}],
                        "is_error": True,
                    },
                ],
            }
        ]
    )


def test_anthropic_gets_its_own_signed_thoughts_and_opaque_blocks_back() -> None:
    search: JSONObject = {"type": "server_tool_use", "id": "s1"}
    content: tuple[Block, ...] = (
        Thinking("unsigned"),
        Thinking("hm", "sig"),
        Opaque("anthropic", search),
        Opaque("gemini", {}),
        Text(" "),
    )
    thinking = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    assert _chat("anthropic", Message("assistant", content)) == [{"role": "assistant", "content": [thinking, search]}]
    assert _chat("anthropic", Message("assistant", content[:2], model="gemini:pro")) == []


def test_anthropic_reads_documents_and_hears_nothing() -> None:
    assert _chat("anthropic", user(File("a.pdf", b"%PDF-", "application/pdf"))) == snapshot(
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "document",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
                    }
                ],
            }
        ]
    )
    with pytest.raises(UsageError) as raised:
        _chat("anthropic", user(_SOUND))
    assert str(raised.value) == snapshot("Anthropic takes no audio/wav here. Leave it out, or ask another model.")


def test_gemini_gets_signatures_back_and_results_in_one_message() -> None:
    said = Message(
        "assistant",
        (Thinking("lost"), Thinking("hm", "sig1"), ToolCall("1", "look", extra={"thoughtSignature": "sig2"})),
        model="gemini:pro",
    )
    results = Message("tool", (*_tool("1", Text("a")).content, *_tool("2", Text("no"), is_error=True).content))
    assert _chat("gemini", said, results, user("", _WEB)) == snapshot(
        [
            {
                "role": "model",
                "parts": [
                    {"text": "hm", "thought": True, "thought_signature": "sig1"},
                    {"function_call": {"id": None, "name": "look", "args": {}}, "thought_signature": "sig2"},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"function_response": {"id": "1", "name": "look", "response": {"output": "a"}}},
                    {"function_response": {"id": "2", "name": "look", "response": {"error": "no"}}},
                ],
            },
            {
                "role": "user",
                "parts": [{"file_data": {"file_uri": "https://example.org/a.png", "mime_type": "image/png"}}],
            },
        ]
    )


def test_ollama_gets_thoughts_and_bytes() -> None:
    assert _chat("ollama", assistant(Thinking("hm"), "Hi"), user("Look", _PICTURE)) == snapshot(
        [
            {"role": "assistant", "content": "Hi", "thinking": "hm"},
            {"role": "user", "content": "Look", "images": ["cGljdHVyZQ=="]},
        ]
    )
    with pytest.raises(UsageError) as raised:
        _chat("ollama", user(_WEB))
    assert str(raised.value) == snapshot(
        "Ollama takes no addresses of pictures, like 'https://example.org/a.png'. Give the bytes."
    )
    with pytest.raises(UsageError, match="Ollama takes no audio/wav here"):
        _chat("ollama", user(_SOUND))


def test_dashscope_takes_films_and_no_documents() -> None:
    assert _chat("dashscope", user("Look", _FILM), user("a", "b")) == snapshot(
        [
            {"role": "user", "content": [{"text": "Look"}, {"video": "data:video/mp4;base64,ZmlsbQ=="}]},
            {
                "role": "user",
                "content": """\
a
b\
""",
            },
        ]
    )
    with pytest.raises(UsageError, match="DashScope takes no application/pdf here"):
        _chat("dashscope", user(File("a.pdf", b"%PDF-", "application/pdf")))


def test_a_conversation_of_several_has_its_own_prompt_and_name() -> None:
    formatter = MultiAgentFormatter("deepseek", history_prompt="So far:\n", me="Ada")
    messages = [system("You are Ada."), user("Hi"), assistant("Hello"), assistant(ToolCall("1", "look")), _tool("1")]
    assert formatter.format(messages) == snapshot(
        [
            {"role": "system", "content": [{"type": "text", "text": "You are Ada."}]},
            {
                "role": "user",
                "content": """\
So far:
<history>
user: Hi
Ada: Hello
</history>\
""",
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "1", "content": "", "name": "look"},
        ]
    )


def test_files_are_read_by_path_and_by_address(tmp_path: Path) -> None:
    path = tmp_path / "a picture.jpg"
    path.write_bytes(b"picture")
    url = "data:image/jpeg;base64," + base64.b64encode(b"picture").decode()
    for address in (str(path), path.as_uri()):
        assert ChatFormatter("openai").format([user(Image(url=address))]) == [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
        ]
    assert LocalFiles().read("https://example.org/a.png") is None
    assert LocalFiles().read("data:image/png;base64,eA==") is None


def test_a_file_that_is_no_medium_is_not_read(tmp_path: Path) -> None:
    key = tmp_path / "id_rsa"
    key.write_text("secret", encoding="utf-8")
    with pytest.raises(UsageError, match="is not the name of a picture, a sound, a film or a PDF"):
        ChatFormatter("openai").format([user(Image(url=str(key)))])
    with pytest.raises(UsageError, match="cannot be read"):
        ChatFormatter("openai").format([user(Image(url=str(tmp_path / "none.png")))])
    with pytest.raises(UsageError, match="cannot be read"):
        LocalFiles().read("a\0b.png")


def test_a_file_that_a_tool_names_and_that_is_not_there_does_not_end_the_conversation(tmp_path: Path) -> None:
    gone = Image(url=str(tmp_path / "gone.png"))
    (said,) = ChatFormatter("anthropic").format([_tool("1", gone)])
    assert "cannot be read" in str(said)
    shown = ChatFormatter("ollama", promote=["image"]).format([_tool("1", gone)])
    assert "cannot be read" in str(shown[1]["content"])


def test_what_a_tool_gave_as_bytes_is_in_a_file_that_its_words_name() -> None:
    (said,) = ChatFormatter("ollama").format([_tool("1", Audio(b"sound", "audio/mpeg"))])
    address = str(said["content"]).removeprefix("The returned audio can be found at: ")
    assert address.endswith(".mp3")
    path = Path(address)
    assert path.read_bytes() == b"sound"
    path.unlink()


@pytest.mark.parametrize("media_type", ["image/../../x", "image/png; a=/b", "", "image/\0", "image/x-unknown"])
def test_a_media_type_never_becomes_a_path(media_type: str) -> None:
    path = Path(LocalFiles().save(b"x", media_type))
    assert path.parent == Path(tempfile.gettempdir())
    assert path.suffix in ("", ".png")
    path.unlink()
