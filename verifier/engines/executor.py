"""What runs the work units of a question: one process, many, or a cluster's client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol


class MapExecutor(Protocol):
    """Anything with the ``map`` of ``concurrent.futures.Executor``: results in order, units pure and picklable."""

    def map(self, function: Callable[[Any], Any], iterable: Iterable[Any], /) -> Iterator[Any]:
        """Results of ``function`` in the order of ``iterable``."""
