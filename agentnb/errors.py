"""The one tree of errors: each message names the thing, the cause and the next step.

AgentnbError                     one line for the user; anything else is a traceback
├── UsageError                   a magic or a call was written wrongly (option, name, value)
│   ├── PromptError              a {{placeholder}} cannot be filled
│   ├── MissingExtra             an optional dependency is absent; the message has the pip command
│   ├── BudgetExceeded           the next call would break a cap on cost; nothing was sent
│   └── StoreError               the file that keeps sessions cannot be used; what was there stays
├── OutputError                  the answer is not what `output` asked for, also after asking again
├── CredentialError              no key, or the provider refused it
├── ModelError                   the model's side failed; the partial transcript is kept
│   ├── ConnectionFailed         no answer from the host
│   ├── RequestRefused           an HTTP status >= 400, or an error body on a 200
│   └── StreamBroken             the stream stopped half-way or turned into an error
├── ToolError                    raised by a tool to tell the model something plainly
│   └── StepFailed               a step of a workflow skill could not be done; those behind it did not run
│   └── SandboxError             a sandbox, or what runs in it, failed
└── RunInterrupted               the person stopped the run
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AgentnbError(Exception):
    """Anything that a user can act on; `str(error)` is one line. `transcript` is what a failed run had so far."""

    transcript: object = None

    def _render_traceback_(self) -> list[str]:
        # IPython asks the exception itself: one line for a person instead of our frames.
        return [f"\x1b[31m{type(self).__name__}\x1b[0m: {self}"]


class UsageError(AgentnbError):
    """A magic or a call was written wrongly."""


class PromptError(UsageError):
    """A placeholder of a prompt cannot be filled; nothing was sent."""


class MissingExtra(UsageError):
    """An optional dependency is absent."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional dependency. Run: pip install 'agentnb[{extra}]'")


class BudgetExceeded(UsageError):
    """The next call would break a cap on what may be spent; it was not sent."""


class StoreError(UsageError):
    """The store cannot be opened, read or written; the message names the file and the way out."""


class OutputError(AgentnbError):
    """The answer is not what `output` asked for; the message ends with the last answer, `answer` is all of it."""

    def __init__(self, message: str, answer: str) -> None:
        super().__init__(message)
        self.answer = answer


class ModelError(AgentnbError):
    """The model's side failed.

    `status` is the HTTP status (or the one named in a mid-stream error), `code` the vendor's own code,
    `retryable` whether the same request may succeed later, `retry_after` the seconds the server asked for.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retryable = retryable
        self.retry_after = retry_after


class ConnectionFailed(ModelError):
    """No answer from the host: refused, unknown, timed out, or TLS failed."""


class RequestRefused(ModelError):
    """The provider answered with an error."""


class CredentialError(RequestRefused):
    """No key was found, or the provider refused the one it was given."""


class StreamBroken(ModelError):
    """The stream stopped half-way, or turned into an error after it had begun."""


class ToolError(AgentnbError):
    """Raised inside a tool: the model reads the message as the tool's result."""


class SandboxError(ToolError):
    """A sandbox failed, or what was asked of it did."""


class StepFailed(ToolError):
    """A step of a workflow skill failed: `step` is its number from 1 on, `code` one of the words STEP_…"""

    def __init__(self, step: int, code: str, why: str) -> None:
        super().__init__(f"{code}: step {step}: {why}")
        self.step = step
        self.code = code


class RunInterrupted(AgentnbError):
    """The person stopped the run; the partial answer is kept."""


def nearest(name: str, known: Iterable[str]) -> str:
    """`" Did you mean 'x'?"` for the closest of `known`, or an empty string: the end of many messages."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
