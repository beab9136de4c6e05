"""The walks over cells in two forms, interpreted and compiled: one source, the same bits.

A walk is a module of functions on arrays.  As it is imported it is plain Python, hundreds of times slower than its
compiled form, and at once there.  The compiled form costs half a second to load, and some ten seconds to compile where
numba's cache does not have it yet.  So :class:`Forms` interprets the first stretch of work in a process, and numba is
loaded only by those who walk on.

Both forms compute the same floats, bit for bit: numba keeps the order of operations and rounds each of them, because
fast-math flags are not given (by vertices they bring nothing, by programs a tenth), and numpy's scalars follow IEEE 754
and wrap around as compiled arithmetic does.  So nothing depends on where a walk changes its form.

numba's cache looks at the file of an entry point alone to see whether it is stale.  So all that an entry point calls is
in its own file, whatever the length; what is here changes nothing that a stale cache could get wrong.
"""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

log = logging.getLogger(__name__)

# The arrays outlive the call, so counting references to them (numba's ``_nrt``) would be half of the time for nothing.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
_INNER: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, **_OPTIONS}
_INLINED: dict[str, Any] = {"forceinline": True, **_INNER}
_ENTRY: dict[str, Any] = {"cache": True, **_OPTIONS}
_KIND: dict[Callable[..., object], dict[str, Any]] = {}
F = TypeVar("F", bound=Callable[..., object])


def entry(function: F) -> F:
    """An entry point of a walk: its compiled form is kept in numba's cache."""
    _KIND[function] = _ENTRY
    return function


def inner(function: F) -> F:
    """A function that only functions of the walk call, and rarely: a call passes all arrays, some 200 numbers."""
    _KIND[function] = _INNER
    return function


def inlined(function: F) -> F:
    """The same for what is called often: inlined by force."""
    _KIND[function] = _INLINED
    return function


class Forms:
    """The two forms of the functions of ``module``, and how much more of its work is interpreted in this process.

    ``patience`` is a guess at what may be interpreted rather than compiled, some tenths of a second; where numba's
    cache has the module already, loading it costs less.
    """

    def __init__(self, module: ModuleType, patience: int) -> None:
        self.module = module
        self.patience = patience // 8 if _is_cached(module) else patience

    def call(self, function: Callable[..., None], *arguments: object) -> None:
        """``function(*arguments)`` in the form of the moment, for a short entry point."""
        if self.patience > 0:
            _interpret(function, *arguments)
        else:
            self._call_compiled(function, *arguments)

    def run(self, function: Callable[..., int], work: npt.NDArray[np.int64], out_of_work: int, limit: int,
            *arguments: object) -> int:
        """``function(*arguments, limit)``, interpreted for as long as there is patience, then compiled.

        ``work`` is a view of one number, in which the function counts; where that exceeds the limit it returns
        ``out_of_work``, and goes on when it is called again.
        """
        if self.patience > 0:
            before = int(work[0])
            stop: int = _interpret(function, *arguments, min(limit, before + self.patience))
            self.patience -= int(work[0]) - before
            if stop != out_of_work or work[0] > limit:
                return stop
        return int(self._call_compiled(function, *arguments, limit))

    def compiled(self, function: Callable[..., object]) -> Any:
        """The compiled form of an entry point, numba's object."""
        return self._compiled[function.__name__]

    def _call_compiled(self, function: Callable[..., Any], *arguments: object) -> Any:
        from numba.core import event  # noqa: PLC0415

        with event.install_listener("numba:compile", self._listener):
            return self.compiled(function)(*arguments)

    @cached_property
    def _listener(self) -> object:
        """Says once that numba compiles, and does not read its cache: the user waits."""
        from numba.core import event  # noqa: PLC0415

        class Compiling(event.Listener):
            said = False

            def on_start(self, _event: object) -> None:
                if not self.said:
                    log.info("compiling the walk over cells: some ten seconds, once on this machine")
                    self.said = True

            def on_end(self, _event: object) -> None:
                pass

        return Compiling()

    @cached_property
    def _compiled(self) -> dict[str, Any]:
        """The module's names once more, with numba's functions in place of those that are marked."""
        names = dict(vars(self.module))
        for name, function in vars(self.module).items():
            if isinstance(function, FunctionType) and function in _KIND:
                names[name] = _just_in_time(FunctionType(function.__code__, names, name), _KIND[function])
        return names


def _is_cached(module: ModuleType) -> bool:
    """Whether numba's cache beside the module knows it; without numba, and no matter if it is wrong."""
    source = Path(str(module.__file__))
    return any(source.parent.glob(f"__pycache__/{source.stem}.*.nbi"))


def _interpret(function: Callable[..., Any], *arguments: object) -> Any:
    with np.errstate(all="ignore"):  # infinities, NaN and integers that wrap around are no news to a walk
        return function(*arguments)


def _just_in_time(function: FunctionType, options: dict[str, Any]) -> object:
    import numba  # noqa: PLC0415  a quarter of a second

    try:
        return numba.njit(**options)(function)
    except RuntimeError:  # numba found no folder that it may write
        folder = _temporary_folder()
        if folder is None:
            return numba.njit(**_OPTIONS)(function)
        config: Any = numba.config
        before, config.CACHE_DIR = config.CACHE_DIR, str(folder)
        try:
            return numba.njit(**options)(function)
        finally:
            config.CACHE_DIR = before  # others in this process may use numba, too


def _temporary_folder() -> Path | None:
    """A folder for this user's caches that lasts from run to run, None where there is none.

    What a cache holds is executed, so a folder that someone else owns or may write is not taken.
    """
    try:
        folder = Path(tempfile.gettempdir()) / f"relu-verifier-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return folder if own and os.access(folder, os.W_OK) else None
