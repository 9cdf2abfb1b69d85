"""Answers that are kept: a few events in place of many, and files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from agentnb.events import MessageEnd, ModelEvent, TextDelta, ThinkingDelta, ToolCallArgs, Usage, Waiting


def joined(events: Iterable[ModelEvent]) -> list[ModelEvent]:
    """What was said, with adjacent pieces in one, without the waits, the usage once and at the end."""
    runs: list[list[ModelEvent]] = []
    #: By call: those of calls that arrive at once alternate, and what is in two pieces is not known for a secret.
    arguments: dict[str, list[ModelEvent]] = {}
    usage: list[ModelEvent] = []
    for event in events:
        match event:
            case Waiting():
                continue
            case Usage():
                usage = [event]
            case ToolCallArgs(call_id=call_id) if call_id in arguments:
                arguments[call_id].append(event)
            case ToolCallArgs(call_id=call_id):
                runs.append([event])
                arguments[call_id] = runs[-1]
            case _ if runs and _continues(runs[-1][-1], event):
                runs[-1].append(event)
            case _:
                runs.append([event])
    said = [_one(run) for run in runs]
    at = len(said) - 1 if said and isinstance(said[-1], MessageEnd) else len(said)
    return said[:at] + usage + said[at:]


def _continues(last: ModelEvent, event: ModelEvent) -> bool:
    match last, event:
        case TextDelta(), TextDelta():
            return True
        case ThinkingDelta(signature=None), ThinkingDelta():
            return True
    return False


def _one(run: list[ModelEvent]) -> ModelEvent:
    match run[-1]:
        case TextDelta() as last:
            return replace(last, text="".join(event.text for event in run if isinstance(event, TextDelta)))
        case ToolCallArgs() as last:
            return replace(last, delta="".join(event.delta for event in run if isinstance(event, ToolCallArgs)))
        case ThinkingDelta() as last:
            pieces = [event for event in run if isinstance(event, ThinkingDelta)]
            extra = next((piece.extra for piece in reversed(pieces) if piece.extra), None)
            return replace(last, text="".join(piece.text for piece in pieces), extra=extra)
    return run[0]


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that whoever reads it finds the old one or the new one. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        draft.write_bytes(data)
        os.replace(draft, path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
