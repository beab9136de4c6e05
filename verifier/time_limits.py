"""Wall time that is bounded while a proof is checked: between its steps, because the kernel knows no clock."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Late(Exception):
    """The deadline passed before a proof was checked."""


def in_time(deadline: float | None) -> None:
    """Raises Late when ``time.time()`` has passed the deadline; None is never passed."""
    if deadline is not None and time.time() > deadline:
        raise Late


def until(deadline: float | None, steps: Iterable[T]) -> Iterator[T]:
    """The steps, as long as there is time.  Raises Late."""
    for step in steps:
        in_time(deadline)
        yield step
