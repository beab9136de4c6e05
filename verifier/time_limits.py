"""Work that ends early, because time is up or somebody interrupts it.  What was proved until then is not lost.

A proof that is checked is looked at between its steps, because the kernel knows no clock.  Who interrupts a question
that already has a part of its answer gets that part with the interrupt.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Late(Exception):
    """The deadline passed before a proof was checked."""


class Interrupted(KeyboardInterrupt):
    """An interrupt (Ctrl-C) with what was known when it came: ``result`` is of the type that the call returns, and as
    true as if time had run out."""

    def __init__(self, result: object) -> None:
        super().__init__("interrupted")
        self.result = result


def in_time(deadline: float | None) -> None:
    """Raises Late when ``time.time()`` has passed the deadline; None is never passed."""
    if deadline is not None and time.time() > deadline:
        raise Late


def until(deadline: float | None, steps: Iterable[T]) -> Iterator[T]:
    """The steps, as long as there is time.  Raises Late."""
    for step in steps:
        in_time(deadline)
        yield step
