"""In which chunks a file comes: none, one, or up to five that can be sent at the same time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

#: Bytes of a chunk before a file is divided, the most chunks, and how many a sender may send at the same time.
PARALLEL_SIZE = 100 * 1024 * 1024
MOST_CHUNKS = 5
MAX_THREADS = 5


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a file that is sent by itself; `offset` and `size` are bytes."""

    parallel_id: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Plan:
    """In which chunks a file comes."""

    upload_id: str
    parallel_size: int
    parallel_max_threads: int
    chunk_count: int
    chunks: tuple[Chunk, ...]


def divided(file_size: int, parallel_size: int = PARALLEL_SIZE) -> tuple[Chunk, ...]:
    """No chunk for an empty file, one up to `parallel_size`, else up to 5 that are equal, but for a byte."""
    if not file_size:
        return ()
    count = min(MOST_CHUNKS, -(-file_size // parallel_size))
    ends = [number * file_size // count for number in range(count + 1)]
    return tuple(Chunk(number, at, end - at) for number, (at, end) in enumerate(pairwise(ends)))
