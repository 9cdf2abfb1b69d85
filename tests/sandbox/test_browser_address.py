"""Which addresses are opened, and which of them are private."""

from __future__ import annotations

import pytest

from agentnb.errors import ToolError
from agentnb.sandbox.browser_address import Address, is_private, is_private_name, parse_address, shown


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://example.org/a?b", Address("https://example.org/a?b", "example.org", 443)),
        ("http://Example.ORG.:8080", Address("http://Example.ORG.:8080", "example.org", 8080)),
        ("http://user:word@10.0.0.1/", Address("http://user:word@10.0.0.1/", "10.0.0.1", 80)),
        ("http://[::1]:5/", Address("http://[::1]:5/", "::1", 5)),
        (" example.org/x ", Address("https://example.org/x", "example.org", 443)),
        ("localhost:8888/lab", Address("http://localhost:8888/lab", "localhost", 8888)),
        ("about:blank", Address("about:blank")),
        ("data:text/html,<p>", Address("data:text/html,<p>")),
    ],
)
def test_an_address_is_read(url: str, address: Address) -> None:
    assert parse_address(url) == address


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "chrome://settings", "javascript:alert(1)", "blob:http://a/b", "about:config", "ws://a", ""],
)
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(ToolError, match=r"does not open|names no host"):
        parse_address(url)


@pytest.mark.parametrize("url", ["http://", "http://a:99999999/", "http://[::1", "https:///path"])
def test_nonsense_is_refused(url: str) -> None:
    with pytest.raises(ToolError, match=r"is not a URL|names no host"):
        parse_address(url)


@pytest.mark.parametrize(
    "ip",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:a00:1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b:1::7f00:1",
        "fec0::1",
        "192.0.0.192",
        "nonsense",
    ],
)
def test_what_is_not_public_is_private(ip: str) -> None:
    assert is_private(ip)


@pytest.mark.parametrize("ip", ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::101:101"])
def test_what_is_public_is_not(ip: str) -> None:
    assert not is_private(ip)


def test_a_name_is_private_by_its_looks_only_where_it_is_this_machine() -> None:
    assert all(map(is_private_name, ("localhost", "a.localhost.", "127.0.0.1", "[::1]")))
    assert not any(map(is_private_name, ("example.org", "1.1.1.1", "localhost.example.org")))


def test_a_long_address_is_shown_cut_and_on_one_line() -> None:
    assert shown("data:a\nb") == "data:a b"
    assert shown("x" * 300) == "x" * 200 + "…"
