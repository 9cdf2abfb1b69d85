"""Finds the Chromium that is installed and says how it is started; no browser is ever downloaded."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from agentnb.errors import UsageError

VARIABLE = "AGENTNB_BROWSER"
_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "microsoft-edge-stable",
    "chrome",
    "msedge",
)
_MAC = tuple(
    f"/Applications/{name}.app/Contents/MacOS/{name}" for name in ("Chromium", "Google Chrome", "Microsoft Edge")
)
_WINDOWS = ("Google/Chrome/Application/chrome.exe", "Microsoft/Edge/Application/msedge.exe")
_INSTALL = "Install Chromium (Debian: apt install chromium; macOS: brew install --cask chromium)"

#: Nothing is fetched or told in the background. The last two keep a page from going around the gate by UDP.
ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
)


def find_browser(environ: Mapping[str, str], which: Callable[[str], str | None] = shutil.which) -> str:
    """The path of a Chromium, Chrome or Edge: $AGENTNB_BROWSER, else one that is installed. Raises UsageError."""
    if given := environ.get(VARIABLE, "").strip():
        if found := which(given):
            return found
        raise UsageError(f"${VARIABLE} is {given!r}, and there is no such program. {_INSTALL}, or correct it.")
    for name in _NAMES:
        if found := which(name):
            return found
    for path in _usual_places(environ):
        if path.exists():
            return str(path)
    raise UsageError(f"No Chromium, Chrome or Edge on this machine. {_INSTALL}, or name one in ${VARIABLE}.")


def _usual_places(environ: Mapping[str, str]) -> list[Path]:
    if sys.platform == "darwin":
        return [Path(path) for path in _MAC]
    if sys.platform == "win32":
        roots = [environ.get(name) for name in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")]
        return [Path(root) / path for root in roots if root for path in _WINDOWS]
    return []


def own_sandbox() -> bool:
    """Whether Chromium keeps its own sandbox: as root it refuses to start with it."""
    return not (hasattr(os, "geteuid") and os.geteuid() == 0)
