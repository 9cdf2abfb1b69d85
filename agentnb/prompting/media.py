"""What a person hands over as a picture or a sound: a figure, an array, a path, an address, bytes."""

from __future__ import annotations

import base64
import mimetypes
import os
import pathlib
from typing import Literal, Protocol, TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit

from agentnb import sniff
from agentnb.errors import AgentnbError, PromptError
from agentnb.messages import Audio, Content, Image, Text
from agentnb.prompting.arrays import array_picture, wav
from agentnb.prompting.blocks import to_blocks
from agentnb.prompting.budget import one_line
from agentnb.prompting.files import medium_bytes
from agentnb.prompting.pictures import image_from_bytes, image_from_pillow
from agentnb.prompting.plain import is_from

Kind: TypeAlias = Literal["image", "audio"]

_TAKEN = {
    "image": "a figure, a PIL image, an array, a path, an http(s) address, bytes, or a list of these",
    "audio": "a path, an http(s) address, bytes, IPython's Audio, (rate, array), or a list of these",
}
_NOUN = {"image": "picture", "audio": "sound"}


class DisplayAudio(Protocol):
    """What is used of `IPython.display.Audio`."""

    data: bytes | str | None
    url: str | None


def to_media(value: object, kind: Kind) -> tuple[Content, ...]:
    """The pictures or the sounds that `value` is: scaled, their types told by their bytes; addresses stay addresses.

    Raises PromptError for what is neither, cannot be read, or is too large.
    """
    if isinstance(value, list) or (isinstance(value, tuple) and not _is_samples(value)):
        if not value:
            raise PromptError(f"There is no {_NOUN[kind]} in an empty {type(value).__name__}. Give {_TAKEN[kind]}.")
        return tuple(block for each in value for block in to_media(each, kind))
    try:
        return _pictures(value) if kind == "image" else (_sound(value),)
    except AgentnbError:
        raise
    except Exception as error:  # the user's own objects are asked to draw themselves: anything may come
        reason = one_line(f"{type(error).__name__}: {error}", 300).removesuffix(".")
        raise PromptError(f"{_a(value)} cannot be made a {_NOUN[kind]}: {reason}.") from error


def _pictures(value: object) -> tuple[Content, ...]:
    match value:
        case Image():
            return (value,)
        case str() | os.PathLike() | bytes() | bytearray() | memoryview():
            return (_image(value),)
    if is_from(value, "numpy", "ndarray"):
        picture = array_picture(value)  # type: ignore[arg-type]  # known by name alone
        return (image_from_pillow(picture, f"Array, {picture.width} × {picture.height} pixels"),)
    blocks = to_blocks(value, 200)
    if blocks and all(isinstance(block, Image) for block in blocks):
        return blocks
    if is_from(value, "plotly", "BaseFigure") and isinstance(first := blocks[0], Text):
        raise PromptError(f"No picture of a {first.text.partition(chr(10))[0].rstrip(':')}.")
    raise _not(value, "image")


def _image(value: str | os.PathLike[str] | bytes | bytearray | memoryview) -> Image:
    if isinstance(value, str) and _is_web(value):
        return Image(media_type=_guessed(value, "image"), url=value, alt=one_line(value, 80))
    data, name = _bytes(value, "image")
    found = sniff.media_type(data)
    if found is None or not found.startswith("image/"):
        raise PromptError(f"{name} is no picture{f', but {found}' if found else ''}. Give {_TAKEN['image']}.")
    if found == "image/svg+xml":
        raise PromptError(f"{name} is an SVG drawing, which models do not read. Save it as PNG.")
    return image_from_bytes(data, name)


def _sound(value: object) -> Audio:
    match value:
        case Audio():
            return value
        case str() if _is_web(value):
            return Audio(media_type=_guessed(value, "audio"), url=value)
        case str() | os.PathLike() | bytes() | bytearray() | memoryview():
            return _audio(*_bytes(value, "audio"))
        case (one, other):
            rate, samples = (one, other) if _is_number(one) else (other, one)
            return Audio(wav(rate, samples))  # type: ignore[arg-type]  # an array, by its name
    if is_from(value, "IPython", "Audio"):
        return _displayed(value)  # type: ignore[arg-type]  # known by name alone
    if is_from(value, "numpy", "ndarray"):
        raise PromptError("An array alone does not say how fast it is played. Give (rate, array).")
    raise _not(value, "audio")


def _displayed(value: DisplayAudio) -> Audio:
    match value.data:
        case bytes() as data:
            return _audio(data, "The sound")
        case str() as encoded:
            return _audio(base64.b64decode(encoded), "The sound")
    if value.url:
        return Audio(media_type=_guessed(value.url, "audio"), url=value.url)
    raise PromptError("This Audio holds neither data nor an address. Give it embed=True.")


def _audio(data: bytes, name: str) -> Audio:
    # A container of films that is handed over as a sound holds nothing else.
    found = (sniff.media_type(data) or "").replace("video/", "audio/")
    if not found.startswith("audio/"):
        raise PromptError(f"{name} is no sound{f', but {found}' if found else ''}. Give {_TAKEN['audio']}.")
    return Audio(data, found)


def _bytes(value: str | os.PathLike[str] | bytes | bytearray | memoryview, kind: Kind) -> tuple[bytes, str]:
    """What is there, and what it is called."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value), f"The {_NOUN[kind]}"
    if isinstance(value, str) and value[:5].lower() == "data:":
        return _from_data_url(value), f"The {_NOUN[kind]}"
    if isinstance(value, str) and "://" in value:
        raise PromptError(f"{one_line(value, 80)!r} is no http(s) address. Give {_TAKEN[kind]}.")
    path = pathlib.Path(value).expanduser()
    return medium_bytes(path), path.name


def _from_data_url(url: str) -> bytes:
    head, comma, rest = url.partition(",")
    data = unquote_to_bytes(rest)
    try:
        if comma:
            return base64.b64decode(b"".join(data.split()), validate=True) if head.endswith(";base64") else data
    except ValueError:
        pass
    raise PromptError(f"{one_line(url, 40)!r} cannot be decoded. Write data:TYPE;base64, and the bytes in base64.")


def _is_samples(value: tuple[object, ...]) -> bool:
    """Whether a tuple is a rate and an array, in the one order or the other."""
    if len(value) != 2:
        return False
    arrays = [is_from(each, "numpy", "ndarray") for each in value]
    return sum(arrays) == 1 and _is_number(value[arrays.index(False)])


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) or is_from(value, "numpy", "number")


def _is_web(text: str) -> bool:
    return text.partition("://")[0].lower() in ("http", "https") and "://" in text


def _guessed(url: str, kind: Kind) -> str:
    """The type that an address ends in; whoever fetches it looks at the bytes."""
    found = mimetypes.guess_type(urlsplit(url).path)[0] or ""
    return found if found.startswith(f"{kind}/") else {"image": "image/png", "audio": "audio/wav"}[kind]


def _a(value: object) -> str:
    name = type(value).__name__
    return f"{'An' if name[:1].lower() in 'aeiou' else 'A'} {name}"


def _not(value: object, kind: Kind) -> PromptError:
    return PromptError(f"{_a(value)} is no {_NOUN[kind]}. Give {_TAKEN[kind]}.")
