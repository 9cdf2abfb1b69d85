"""How bubblewrap is called, and what is said where it cannot be."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from agentnb.errors import SandboxError
from agentnb.sandbox import bwrap
from agentnb.sandbox.base import Limits
from agentnb.sandbox.bwrap import Bubblewrap


def test_where_it_is_missing_one_line_says_how_to_install_it() -> None:
    said = bwrap.unavailable("no-such-bwrap")
    assert said is not None
    assert said.startswith("bubblewrap is not installed. Install bubblewrap (Debian, Ubuntu: apt install bubblewrap")
    with pytest.raises(SandboxError, match="bubblewrap is not installed"):
        Bubblewrap(executable="no-such-bwrap").launch(Limits())


def test_where_it_may_not_work_its_own_words_are_repeated(tmp_path: Path) -> None:
    refusing = tmp_path / "bwrap"
    refusing.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    refusing.chmod(0o755)
    said = bwrap.unavailable(str(refusing))
    assert said == (
        "bubblewrap may not make namespaces here (bwrap: No permissions to create new namespace). In a container, "
        "allow user namespaces"
    )


def test_an_environment_that_holds_the_home_folder_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(Path.home().parent))
    with pytest.raises(SandboxError, match="together with your files: a sandbox would show them"):
        bwrap.prefixes()


def test_a_package_that_is_elsewhere_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("prefix", "exec_prefix", "base_prefix", "base_exec_prefix"):
        monkeypatch.setattr(sys, name, str(tmp_path))
    with pytest.raises(SandboxError, match=r"ipykernel is not in the environment .*pip install 'agentnb\[sandbox\]'"):
        bwrap.prefixes()


def test_only_with_the_network_there_is_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bwrap.shutil, "which", lambda name: f"/usr/bin/{name}")  # type: ignore[attr-defined]  # its module
    for network in (False, True):
        launcher = Bubblewrap(network=network)
        launch = launcher.launch(Limits(disk=1 << 30))
        launch.ended()
        assert ("--unshare-net" in launch.argv) is not network
        assert ("/etc/resolv.conf" in launch.argv) is network
        assert launcher.safe is not network
        assert {"--die-with-parent", "--new-session", "--clearenv", "--unshare-pid"} <= set(launch.argv)
        assert dict(launch.env) == {}


def test_descriptors_are_closed_when_it_has_ended() -> None:
    before = os.listdir("/proc/self/fd")
    launch = Bubblewrap(executable="true").launch(Limits())
    assert len(os.listdir("/proc/self/fd")) > len(before)
    launch.ended()
    launch.ended()
    assert len(os.listdir("/proc/self/fd")) == len(before)
