"""How the compiled walks are compiled.

``reassoc`` and ``contract`` let the compiler reorder and fuse sums; the error analysis holds for every order.  NaN and
infinities keep their meaning.

numba's cache looks at the file of an entry point alone to see whether it is stale.  So all that an entry point calls is
in its own file, whatever the length; what is here changes nothing that a stale cache could get wrong.
"""

from __future__ import annotations

from collections.abc import Callable
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
    return cast(F, numba.njit(cache=True, **_OPTIONS)(function))


def inner(function: F) -> F:
    """A function that only compiled code calls."""
    return cast(F, numba.njit(**_INNER)(function))


def inlined(function: F) -> F:
    """The same, for short functions that are called very often."""
    return cast(F, numba.njit(**_INLINED)(function))
