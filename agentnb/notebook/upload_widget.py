"""Files from the person's machine into the workspace: dropped or chosen in the browser, sent in checked pieces.

What is drawn and sent is `upload.js`, a plain ES module that anywidget loads; here each of its messages is answered.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.files.chunks import Plan
from agentnb.files.upload import Received, UploadError, Uploads
from agentnb.render.terminal import one_line

if TYPE_CHECKING:
    import anywidget

WIDGET_MIME = "application/vnd.jupyter.widget-view+json"
_HERE = Path(__file__).parent


class UploadDesk:
    """Answers what a browser asks about uploads into one folder. Safe from any thread.

    A file that is chosen a second time (the page was reloaded, the cell run again) goes on where it stopped: `begun`
    knows it by its name, its size and when it was changed last.
    """

    def __init__(self, uploads: Uploads, target: str, begun: dict[tuple[object, ...], Plan]) -> None:
        self._uploads = uploads
        self._target = target
        self._begun = begun
        self._lock = threading.Lock()

    def answer(self, message: Mapping[str, object], buffers: Sequence[memoryview] = ()) -> dict[str, object]:
        """The answer to one message; what cannot be done is told with its `code`."""
        try:
            return self._answer(message, buffers)
        except UploadError as error:
            return {"code": error.code, "message": one_line(str(error), 500)}

    def _answer(self, message: Mapping[str, object], buffers: Sequence[memoryview]) -> dict[str, object]:
        match message:
            case {"type": "init", "name": str(name), "size": int(size)}:
                return self._init(name, size, message.get("modified"))
            case {"type": "piece", "upload": str(upload), "chunk": int(chunk), "offset": int(offset), "crc": int(crc)}:
                if len(buffers) != 1:
                    raise UploadError("INVALID_REQUEST", "A piece came without its bytes. Send it again.")
                got = self._uploads.put(upload, chunk, bytes(buffers[0]), offset=offset, crc32=crc)
                return {"received": got.received}
            case {"type": "status", "upload": str(upload)}:
                return {"received": [each.received for each in self._uploads.status(upload)]}
            case {"type": "complete", "upload": str(upload)}:
                path = self._uploads.complete(upload)
                self._forget(upload)
                return {"path": path}
            case {"type": "cancel", "upload": str(upload)}:
                self._uploads.cancel(upload)
                self._forget(upload)
                return {}
        raise UploadError("INVALID_REQUEST", "This message is not understood. Run the cell again.")

    def _init(self, name: str, size: int, modified: object) -> dict[str, object]:
        key = (self._target, name, size, modified if isinstance(modified, (int, float)) else None)
        with self._lock:
            if known := self._begun.get(key):
                try:
                    return _told(known, self._uploads.status(known.upload_id))
                except UploadError:
                    del self._begun[key]
            plan = self._uploads.init(name, size, self._target)
            self._begun[key] = plan
            return _told(plan, self._uploads.status(plan.upload_id))

    def _forget(self, upload: str) -> None:
        with self._lock:
            for key in [key for key, plan in self._begun.items() if plan.upload_id == upload]:
                del self._begun[key]


def _told(plan: Plan, received: Sequence[Received]) -> dict[str, object]:
    chunks = [
        {"id": chunk.parallel_id, "offset": chunk.offset, "size": chunk.size, "received": got.received}
        for chunk, got in zip(plan.chunks, received, strict=True)
    ]
    return {"upload": plan.upload_id, "threads": plan.parallel_max_threads, "chunks": chunks}


@functools.cache
def _drawing() -> type[anywidget.AnyWidget]:
    # A class, and loaded once: a front end compiles its module once as well.
    import anywidget
    import traitlets

    class Upload(anywidget.AnyWidget):
        _esm = (_HERE / "upload.js").read_text("utf-8")
        _css = (_HERE / "upload.css").read_text("utf-8")
        where = traitlets.Unicode().tag(sync=True)

    return Upload


class UploadWidget:
    """Where files are dropped. Make it on the kernel's main thread; messages are answered where they arrive."""

    def __init__(self, desk: UploadDesk, where: str, *, mask: Callable[[str], str] = str) -> None:
        self._desk = desk
        self._mask = mask
        self._where = where
        self._widget = _drawing()(where=where)
        self._widget.on_msg(self._receive)

    @property
    def bundle(self) -> dict[str, object]:
        """What to display; the words are for a notebook that is read later."""
        model = {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}
        return {WIDGET_MIME: model, "text/plain": f"A place to drop files for {self._where}, while its kernel runs."}

    def close(self) -> None:
        """Take it out of the front end; a file that was on its way can be chosen again, and goes on."""
        self._widget.close()

    def _receive(self, _widget: object, message: object, buffers: Sequence[memoryview] | None) -> None:
        if not isinstance(message, Mapping) or "id" not in message:
            return
        answer = self._desk.answer(message, buffers or ())
        if isinstance(words := answer.get("message"), str):
            answer["message"] = self._mask(words)
        self._widget.send({"to": message["id"], **answer})
