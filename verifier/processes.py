"""Processes for the units of one question, replaced when they die.

Units are pure: one that is lost with its process is run again, and no result depends on it.  Why not ``workers.py``: it
runs whole questions in its workers; here the question stays in this process, and only its units are handed out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from types import TracebackType
from typing import TypeVar

from verifier.sharing import follow_parent

S = TypeVar("S")
R = TypeVar("R")

PATIENCE = 3
"""How often in a row the same unit may be lost before that is taken for its own fault."""


class Processes:
    """A context manager with the ``map`` of ``concurrent.futures.Executor``, on ``jobs`` spawned processes."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._jobs, get_context("spawn"), follow_parent)

    def map(self, function: Callable[[S], R], iterable: Iterable[S], /) -> Iterator[R]:
        """Results of ``function`` in the order of ``iterable``; ``function`` and the units are picklable and pure.

        Raises what ``function`` raises, when its turn comes, and RuntimeError when processes die again and again.
        """
        units = deque(iterable)
        futures: list[Future[R]] = []
        lost = 0
        try:
            while units:
                try:
                    futures = [self._pool.submit(function, unit) for unit in units]
                    for future in futures:
                        result = future.result()
                        units.popleft()
                        lost = 0
                        yield result
                except BrokenProcessPool:
                    lost += 1
                    self._stop()
                    if lost == PATIENCE:
                        raise RuntimeError(f"worker processes died {lost} times in a row on the same part of the work "
                                           "(killed, or out of memory)") from None
                    self._pool = self._start()
        finally:
            for future in futures:
                future.cancel()

    def _stop(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._stop()
