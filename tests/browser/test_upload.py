"""Files into the workspace in a real JupyterLab: chosen, paused, resumed, complete; and what a busy kernel does."""

from __future__ import annotations

import random
from pathlib import Path

from playwright.sync_api import Locator, expect

from tests.browser.lab import Lab

#: Makes each answer of the kernel take a while, so that there is time to press a button.
SLOW = """%load_ext agentnb
import time
from agentnb.files.upload import Uploads
_put = Uploads.put
def put(self, *args, **more):
    time.sleep(0.15)
    return _put(self, *args, **more)
Uploads.put = put"""


def _file(folder: Path, name: str, size: int) -> Path:
    path = folder / name
    path.write_bytes(random.Random(7).randbytes(size))
    return path


def _opened(lab: Lab, name: str, first: str = "%load_ext agentnb") -> Locator:
    lab.open(name, first, "%files upload", "import time; time.sleep(4)")
    lab.run(0)
    lab.run(1)
    place = lab.output(1).locator(".agentnb-upload")
    place.wait_for()
    return place


def test_a_file_is_paused_resumed_and_is_what_it_was(lab: Lab, tmp_path: Path) -> None:
    file = _file(tmp_path, "several <b>MB &amp;.bin", 8_500_000)
    place = _opened(lab, "upload.ipynb", SLOW)
    place.locator("input[type=file]").set_input_files(file)
    expect(place.locator(".note")).to_contain_text("of 8.5 MB")
    place.get_by_role("button", name="Pause").click()
    expect(place.locator(".note")).to_contain_text("paused")
    assert not (lab.server.root / file.name).exists()
    lab.screenshot("upload-paused", lab.output(1))
    lab.dark()
    lab.page.locator("#jupyterlab-splash").wait_for(state="detached")
    lab.screenshot("upload-paused-dark", lab.output(1))
    lab.dark(False)
    place.get_by_role("button", name="Resume").click()
    expect(place.locator(".file[data-state=done]")).to_contain_text("several <b>MB &amp;.bin")
    assert (lab.server.root / file.name).read_bytes() == file.read_bytes()
    assert not list(lab.server.root.glob(".uploading-*"))
    lab.screenshot("upload-done", lab.output(1))


def test_a_busy_kernel_is_told_and_waited_for(lab: Lab, tmp_path: Path) -> None:
    file = _file(tmp_path, "busy.bin", 3_000_000)
    place = _opened(lab, "upload-busy.ipynb")
    lab.run(2, wait=False)
    place.locator("input[type=file]").set_input_files(file)
    expect(place.locator(".note")).to_contain_text("the kernel is busy; it goes on when it is free")
    expect(place.locator(".file[data-state=done]")).to_be_visible()
    assert (lab.server.root / "busy.bin").read_bytes() == file.read_bytes()


def test_several_files_are_dropped_cancelled_and_tried_again(lab: Lab, tmp_path: Path) -> None:
    place = _opened(
        lab,
        "upload-several.ipynb",
        SLOW.replace("time.sleep(0.15)", "time.sleep(0.15); check()")
        + """
from agentnb.files.upload import UploadError
broken = [True]
def check():
    if broken:
        raise UploadError("NO_SPACE", "'x' cannot be written: the disk is full. Make room, then try again.")""",
    )
    files = [_file(tmp_path, f"{number}.bin", 2_500_000) for number in range(2)]
    place.locator("input[type=file]").set_input_files(files)
    expect(place.locator(".file[data-state=failed]")).to_have_count(2)
    expect(place.locator(".note").first).to_contain_text("the disk is full")
    lab.screenshot("upload-failed", lab.output(1))
    lab.page.evaluate("""async () => {
      const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
      await kernel.requestExecute({code: 'broken.clear()'}).done;
    }""")
    place.get_by_role("button", name="Cancel 0.bin").click()
    place.get_by_role("button", name="Retry 1.bin").click()
    expect(place.locator(".file[data-state=done]")).to_contain_text("1.bin")
    expect(place.locator(".file[data-state=cancelled]")).to_contain_text("0.bin")
    assert (lab.server.root / "1.bin").read_bytes() == files[1].read_bytes()
    assert not (lab.server.root / "0.bin").exists()
    assert not list(lab.server.root.glob(".uploading-*"))
    # Dropped, and of the same name as one that is there.
    handle = lab.page.evaluate_handle("""() => {
      const dropped = new DataTransfer();
      dropped.items.add(new File(['hello'], '1.bin'));
      dropped.items.add(new File([], 'empty.txt'));
      return dropped;
    }""")
    place.locator(".drop").dispatch_event("drop", {"dataTransfer": handle})
    expect(place.locator(".file[data-state=done]")).to_have_count(3)
    expect(place).to_contain_text("1 (1).bin")
    assert (lab.server.root / "1 (1).bin").read_text() == "hello"
    assert (lab.server.root / "empty.txt").read_bytes() == b""
