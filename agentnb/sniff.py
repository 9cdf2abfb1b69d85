"""What bytes are, told by their beginning: a file's name and a server's label are often wrong."""

from __future__ import annotations

import re
import struct

#: How many bytes at the beginning tell.
SNIFFED = 512

_STARTS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
    b"OggS": "audio/ogg",
    b"fLaC": "audio/flac",
    b"ID3": "audio/mpeg",
    b"#!AMR": "audio/amr",
    b"%PDF-": "application/pdf",
}
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
#: The brands of the ISO container, by their beginning; any other is a film.
_BRANDS = {
    b"hei": "image/heic",
    b"hev": "image/heic",
    b"mif1": "image/heic",
    b"msf1": "image/heic",
    b"avi": "image/avif",
    b"M4A": "audio/mp4",
    b"M4B": "audio/mp4",
    b"qt": "video/quicktime",
}
_SVG = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*|<!--.*?-->\s*|<!DOCTYPE svg[^>]*>\s*)*<svg[\s>]", re.S | re.I
)


def media_type(data: bytes) -> str | None:
    """The media type of a picture, a sound, a film or a PDF; None for anything else."""
    head = data[:SNIFFED]
    for start, kind in _STARTS.items():
        if head.startswith(start):
            return kind
    match head[:4]:
        case b"RIFF" | b"RF64":
            return _RIFF.get(head[8:12])
        case b"FORM" if head[8:12] in (b"AIFF", b"AIFC"):
            return "audio/aiff"
        case b"\x1aE\xdf\xa3":
            return _matroska(head)
    if head[4:8] == b"ftyp":
        return next((kind for brand, kind in _BRANDS.items() if head[8:].startswith(brand)), "video/mp4")
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return "image/bmp"
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return _mpeg_frame(head[1], head[2])
    return "image/svg+xml" if _SVG.match(head) else None


def _matroska(head: bytes) -> str:
    if b"webm" not in head:
        return "video/x-matroska"
    # A track's codec may stand in the beginning; a sound has no other.
    return "audio/webm" if b"A_" in head and b"V_" not in head else "video/webm"


def _mpeg_frame(second: int, third: int) -> str | None:
    """A frame of AAC, or of MP3 (layer III, with a version, a bit rate and a sampling rate that exist)."""
    if second & 0xF6 == 0xF0:
        return "audio/aac"
    real = second & 0x06 == 0x02 and second & 0x18 != 0x08 and third & 0xF0 != 0xF0 and third & 0x0C != 0x0C
    return "audio/mpeg" if real else None


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels, of the kinds that say so in their beginning; None where they cannot be read."""
    try:
        match media_type(data):
            case "image/png":
                width, height = struct.unpack(">II", data[16:24])
            case "image/gif":
                width, height = struct.unpack("<HH", data[6:10])
            case "image/bmp":
                width, height = struct.unpack("<ii", data[18:26])
            case "image/webp":
                return _webp_size(data)
            case "image/jpeg":
                return _jpeg_size(data)
            case _:
                return None
    except (struct.error, IndexError):
        return None
    return abs(width), abs(height)


def _webp_size(data: bytes) -> tuple[int, int] | None:
    match data[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            width, height = struct.unpack("<HH", data[26:30])
            return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data):
        marker = data[at + 1]
        if data[at] != 0xFF:
            return None
        if marker == 0xFF:
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def looks_whole(data: bytes) -> bool:
    """Whether a PNG, JPEG, GIF or WebP ends as it should; others are taken at their word."""
    match media_type(data):
        case "image/png":
            return b"IEND" in data[-64:]
        case "image/jpeg":
            return b"\xff\xd9" in data[-4096:]
        case "image/gif":
            return data[-64:].rstrip(b"\0").endswith(b"\x3b")
        case "image/webp":
            return len(data) >= 8 + int.from_bytes(data[4:8], "little")
    return True
