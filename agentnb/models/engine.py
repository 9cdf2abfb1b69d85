"""One GGUF file in llama.cpp, inside this process: it loads on its own thread, and generates one answer after another.

llama.cpp comes as `xllamacpp`, whose calls block and stream by callback, so a thread of its own feeds the event loop
of whoever asked. A callback that returns true ends the generation, which is how one is stopped.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import queue
import secrets
import threading
import weakref
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Protocol

from agentnb.errors import MissingExtra, ModelError, RequestRefused
from agentnb.messages import JSONObject

#: Tokens read at once: the step at which reading a prompt can be stopped (under a second for 0.5 billion parameters
#: on one core), and no slower than larger steps.
_BATCH = 64
#: Megabytes of earlier prompts kept, so that what two prompts begin with alike is read once.
_PROMPT_CACHE_MIB = 512
#: How long the end of the process waits at most for a generation that was told to stop: it does after a batch, and to
#: end under a running one would be a crash.
_FAREWELL_SECONDS = 5.0


class _Server(Protocol):
    """What is used of `xllamacpp.Server`."""

    def handle_chat_completions(self, body: JSONObject, on_chunk: Callable[[JSONObject], bool], /) -> object: ...


@dataclass(frozen=True, slots=True)
class _Job:
    body: JSONObject
    loop: asyncio.AbstractEventLoop
    chunks: asyncio.Queue[JSONObject | ModelError | None] = field(default_factory=asyncio.Queue)
    stopped: threading.Event = field(default_factory=threading.Event)

    def put(self, item: JSONObject | ModelError | None) -> None:
        """Hand an item to the loop that asked; one that is gone no longer listens."""
        try:
            self.loop.call_soon_threadsafe(self.chunks.put_nowait, item)
        except RuntimeError:
            self.stopped.set()


class Engine:
    """A model file, loaded at the first generation; give it up and its memory is freed, a generation in it stopped."""

    def __init__(self, path: Path, *, threads: int | None = None, context: int = 4096) -> None:
        self.path = path
        self.threads = threads or max(1, (os.cpu_count() or 2) - 1)
        self.context = context
        self.loaded = threading.Event()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._starting = threading.Lock()
        self._started = False

    async def chat(self, body: JSONObject) -> AsyncGenerator[JSONObject, None]:
        """The chunks of one answer, in llama.cpp's OpenAI dialect; closing the generator stops the generation.

        Raises ModelError when the file cannot be loaded, RequestRefused when the request cannot be served.
        """
        self._start()
        job = _Job(body, asyncio.get_running_loop())
        self._jobs.put(job)
        try:
            while (item := await job.chunks.get()) is not None:
                if isinstance(item, ModelError):
                    raise item
                yield item
        finally:
            job.stopped.set()

    def _start(self) -> None:
        with self._starting:
            if not self._started:
                import_xllamacpp()
                settings = (str(self.path), self.threads, self.context)
                # A daemon, which knows nothing of `self`: neither the end of the process nor that of the engine waits.
                thread = threading.Thread(
                    target=_serve, args=(self._jobs, self._ending, self.loaded, settings), daemon=True, name="llama.cpp"
                )
                weakref.finalize(self, _end, self._jobs, self._ending, thread)
                thread.start()
                self._started = True


def import_xllamacpp() -> ModuleType:
    """The package, or MissingExtra."""
    try:
        return importlib.import_module("xllamacpp")  # it has no types that a checker could follow
    except ImportError:
        raise MissingExtra("The built-in model", "local") from None


def check_file(path: Path) -> None:
    """Raise ModelError for what is plainly not a model file, before llama.cpp says so in its own way."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ModelError(f"Cannot read the model file {path}: {error.strerror}. Check the path.") from None
    if magic != b"GGUF":
        raise ModelError(f"{path} is not a GGUF file. llama.cpp reads models in the GGUF format only.")


def _end(jobs: queue.SimpleQueue[_Job | None], ending: threading.Event, thread: threading.Thread) -> None:
    ending.set()
    jobs.put(None)
    if thread is not threading.current_thread():
        thread.join(_FAREWELL_SECONDS)


def _serve(
    jobs: queue.SimpleQueue[_Job | None],
    ending: threading.Event,
    loaded: threading.Event,
    settings: tuple[str, int, int],
) -> None:
    """The thread: load at the first job, then one generation after another, until None."""
    server: _Server | None = None
    while (job := jobs.get()) is not None:
        if job.stopped.is_set() or ending.is_set():
            job.put(None)
            continue
        try:
            server = server or _load(*settings)
            loaded.set()
            _generate(server, job, ending)
        except ModelError as error:
            job.put(error)
        except (RuntimeError, ValueError) as error:
            job.put(RequestRefused(f"llama.cpp refused the request: {_one_line(str(error))}"))
        job.put(None)


def _load(path: str, threads: int, context: int) -> _Server:
    check_file(Path(path))
    llama = import_xllamacpp()
    params = llama.CommonParams()
    params.model.path = path
    params.n_ctx = context
    params.n_batch = params.n_ubatch = _BATCH
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.warmup = False
    params.verbosity = -1  # llama.cpp logs to the process's own stderr: not a word of it
    # The package cannot do without its HTTP server: loopback, a port of the system's choice, a key that nobody knows.
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [secrets.token_urlsafe(32)]
    params.ui = params.endpoint_slots = False
    try:
        server: _Server = llama.Server(params)
    except RuntimeError:
        raise ModelError(
            f"llama.cpp could not load {path}: the file is damaged, of a kind it does not know, or too large for the "
            "memory. Try another model, or update xllamacpp."
        ) from None
    return server


def _generate(server: _Server, job: _Job, ending: threading.Event) -> None:
    def on_chunk(chunk: JSONObject) -> bool:
        job.put(_failure(chunk) or chunk)
        return job.stopped.is_set() or ending.is_set()

    # With a report after every batch, a question that is still being read can be stopped too.
    server.handle_chat_completions({**job.body, "return_progress": True}, on_chunk)


def _failure(chunk: JSONObject) -> ModelError | None:
    error = chunk.get("error")
    if not isinstance(error, dict):
        return None
    if error.get("type") == "exceed_context_size_error":
        return RequestRefused(
            f"The prompt has {error.get('n_prompt_tokens')} tokens, and the model was opened for {error.get('n_ctx')}. "
            "Shorten the prompt, begin a new session, or open the model with a larger context.",
            status=400,
            code="context_length_exceeded",
        )
    code = error.get("code")
    return RequestRefused(
        f"llama.cpp refused the request: {_one_line(str(error.get('message')))}",
        status=code if isinstance(code, int) else None,
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
