"""How the compiled walks are compiled.

``reassoc`` and ``contract`` let the compiler reorder and fuse sums; the error analysis holds for every order.  NaN and
infinities keep their meaning.

numba's cache looks at the file of an entry point alone to see whether it is stale.  So all that an entry point calls is
in its own file, whatever the length; what is here changes nothing that a stale cache could get wrong.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

# The arrays outlive the call, so counting references to them (numba's ``_nrt``) would be half of the time for nothing.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"},
                            "_nrt": False}
_INNER: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, **_OPTIONS}
_INLINED: dict[str, Any] = {"forceinline": True, **_INNER}
F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """An entry point, kept in numba's cache."""
    try:
        return cast(F, numba.njit(cache=True, **_OPTIONS)(function))
    except RuntimeError:  # numba found no folder that it may write
        folder = _temporary_folder()
        if folder is None:
            return cast(F, numba.njit(**_OPTIONS)(function))
        config: Any = numba.config
        before, config.CACHE_DIR = config.CACHE_DIR, str(folder)
        try:
            return cast(F, numba.njit(cache=True, **_OPTIONS)(function))
        finally:
            config.CACHE_DIR = before  # others in this process may use numba, too


def inner(function: F) -> F:
    """A function that only compiled code calls."""
    return cast(F, numba.njit(**_INNER)(function))


def inlined(function: F) -> F:
    """The same, for short functions that are called very often."""
    return cast(F, numba.njit(**_INLINED)(function))


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
