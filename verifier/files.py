"""Files that are there complete, or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from verifier.formats.errors import InputError


def distinct_outputs(inputs: Sequence[Path], outputs: Sequence[Path | None]) -> None:
    """Raise InputError when a file to be written is one that is read, or is to be written twice."""
    taken = {path.resolve() for path in inputs}
    for path in outputs:
        if path is None or (path.exists() and not path.is_file()):
            continue
        if path.resolve() in taken:
            raise InputError(f"{path}: a file of its own was required to write to, this one is in use for something "
                             "else")
        taken.add(path.resolve())


class NewFile:
    """A context manager for a file that appears under its name only by :meth:`commit`; else it leaves no trace.

    It is written beside its place and then moved, which the system does in one step.  Something that is not a regular
    file (a device, a pipe) is written directly: it cannot be replaced.  Raises InputError when the place cannot be
    written, before any work is done for it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        special = self.path.exists() and not self.path.is_file()
        self._part = self.path if special else self.path.with_name(f".{self.path.name}.part")
        try:
            self.file: BinaryIO = self._part.open("wb")
        except OSError as error:
            raise InputError(f"{path}: a file that can be written was required: {error.strerror or error}") from None

    def commit(self) -> None:
        """Close the file and let it appear."""
        self.file.close()
        if self._part != self.path:
            os.replace(self._part, self.path)

    def __enter__(self) -> NewFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.file.close()
        if self._part != self.path:
            self._part.unlink(missing_ok=True)
