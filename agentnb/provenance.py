"""All runs of a person as a table: what was asked, of which model, with which data, and what it took."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb import config
from agentnb.errors import UsageError

if TYPE_CHECKING:
    import pandas

    from agentnb.store.runs import StoredRun

#: Each column: its dtype, and its value of a run. Dicts and lists are objects.
_COLUMNS: Mapping[str, tuple[str, Callable[[StoredRun], object]]] = {
    "run": ("string", lambda run: run.head.id),
    "started": ("datetime64[us, UTC]", lambda run: int(run.started * 1_000_000)),
    "notebook": ("string", lambda run: run.head.notebook),
    "cell": ("string", lambda run: run.head.cell),
    "label": ("string", lambda run: run.head.label),
    "session": ("string", lambda run: run.head.session),
    "agent": ("string", lambda run: run.head.agent),
    "model": ("string", lambda run: run.head.model),
    "prompt": ("string", lambda run: run.head.prompt),
    "variables": ("object", lambda run: dict(run.head.variables)),
    "options": ("object", lambda run: dict(run.head.options)),
    "calls": ("object", lambda run: [call.get("name") for call in run.calls]),
    "calls_detail": ("object", lambda run: [dict(call) for call in run.calls]),
    "rounds": ("int64", lambda run: run.rounds),
    "input": ("int64", lambda run: run.usage.input),
    "cached": ("int64", lambda run: run.usage.cached),
    "output": ("int64", lambda run: run.usage.output),
    "reasoning": ("int64", lambda run: run.usage.reasoning),
    "tokens": ("int64", lambda run: run.usage.total),
    "usd": ("float64", lambda run: run.usage.usd),
    "seconds": ("float64", lambda run: None if run.ended is None else run.ended - run.started),
    "outcome": ("string", lambda run: run.outcome),
    "error": ("string", lambda run: run.error),
    "within": ("string", lambda run: run.head.within),
}


def runs(
    *,
    notebook: str | os.PathLike[str] | None = None,
    session: str | None = None,
    model: str | None = None,
    since: str | datetime.date | datetime.timedelta | None = None,
    home: str | os.PathLike[str] | None = None,
    within: bool = False,
) -> pandas.DataFrame:
    """Every run that is kept, the oldest first: one row for each, and with `within` those that runs started as well.

    `notebook` is a path, or how one ends; `session` and `model` are how the names begin. `since` is a date or a time
    (UTC where it names no zone), or how long ago. `home` is the folder of the store, by default the one that notebooks
    use. `variables` has the SHA-256 of what was sent for each expression of the prompt, `seconds` is the time from
    beginning to end; `usd` is NaN where no price is known, `outcome` is NA while a run goes on.

    Raises UsageError without pandas, and for a `since` that is no time; StoreError where the store cannot be read.
    """
    folder = config.data(os.environ) if home is None else Path(home).expanduser()
    earliest = 0.0 if since is None else _seconds(since)
    found = [
        run
        for run in _kept(folder, earliest)
        if (within or run.head.within is None)
        and (notebook is None or _is_named(run.head.notebook, os.fspath(notebook)))
        and (run.head.session or "").startswith(session or "")
        and run.head.model.startswith(model or "")
    ]
    return _frame(found)


def _kept(folder: Path, earliest: float) -> Sequence[StoredRun]:
    if not (folder / config.STORE).exists():
        return ()
    from agentnb.store import Store  # a script that imports agentnb does not wait for it

    store = Store(folder)
    try:
        return store.runs.list("WHERE started >= ? ORDER BY started, id", (earliest,))
    finally:
        store.close()


def _is_named(path: str | None, asked: str) -> bool:
    """Whether a notebook is meant: its path, or the last parts of it."""
    parts, ending = Path(path or "").parts, Path(os.path.expanduser(asked)).parts
    return bool(ending) and parts[-len(ending) :] == ending


def _seconds(since: str | datetime.date | datetime.timedelta) -> float:
    """Since 1970. Raises UsageError for what is no time."""
    if isinstance(since, datetime.timedelta):
        return (datetime.datetime.now(datetime.UTC) - since).timestamp()
    try:
        when = datetime.datetime.fromisoformat(since if isinstance(since, str) else since.isoformat())
    except (ValueError, AttributeError):
        raise UsageError(
            f"since={str(since)[:60]!r} is no time. Write a date or a time, such as '2026-01-31' or "
            "'2026-01-31 14:00', or a timedelta."
        ) from None
    return (when if when.tzinfo else when.replace(tzinfo=datetime.UTC)).timestamp()


def _frame(found: Sequence[StoredRun]) -> pandas.DataFrame:
    try:
        import pandas
    except ModuleNotFoundError:
        raise UsageError(
            "agentnb.runs() gives a pandas DataFrame, and pandas is not installed. Run: pip install pandas"
        ) from None
    columns = {
        name: pandas.Series([value(run) for run in found], dtype=dtype) for name, (dtype, value) in _COLUMNS.items()
    }
    return pandas.DataFrame(columns)
