"""The progress bar."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verifier.api import Progress

PROGRESS_AFTER_SECONDS = 2.0


class Bar:
    """A progress bar on standard error, when that is a terminal and the work takes longer than two seconds.

    What is written to standard error meanwhile appears above it.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._bar: Any = None
        self._task: Any = None

    def update(self, fraction: float, text: str) -> None:
        """Show that ``fraction`` of the work is done, and ``text`` beside it."""
        if not self._terminal or time.monotonic() - self._started < PROGRESS_AFTER_SECONDS:
            return
        if self._bar is None:
            from rich.console import Console  # noqa: PLC0415
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

            self._bar = Progress(BarColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn(),
                                 console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("", total=1.0)
            self._bar.start()
        self._bar.update(self._task, completed=fraction, description=text)

    def __call__(self, progress: Progress) -> None:
        """Show the progress of one question."""
        self.update(progress.fraction, f"{progress.boxes:,} boxes, {progress.open:,} open")

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
