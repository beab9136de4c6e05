"""The numba form of the inner loop of ``bounds.py``; imported lazily, because numba takes long to load.

``reassoc`` and ``contract`` let the compiler reorder and fuse the sums of products: the error analysis in ``bounds.py``
holds for every order.  ``nnan`` and ``ninf`` are not given: NaN and infinities keep their meaning.

Where numba finds no folder that it may write a cache to, every process compiles anew, which takes half a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np

from verifier.kernel.branches import Indices
from verifier.kernel.rational import FloatArray


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    signature = ("void(f8[:,::1],i8[::1],f8[:,::1],f8[:,::1],f8[::1],f8[:,::1],i8[::1],f8[:,::1],i8[::1],f8[::1],"
                 "f8[::1],f8[:,::1],f8[::1],f8[::1])")
    options: dict[str, Any] = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz"}}
    try:
        compiled = numba.njit(signature, cache=True, **options)(function)
    except RuntimeError:  # numba's word for no such folder
        compiled = numba.njit(signature, **options)(function)
    return cast(Callable[..., None], compiled)


@_compiled
def relax(c: FloatArray, branch: Indices, lower: FloatArray, upper: FloatArray, slope: FloatArray,
          p: FloatArray, p_row: Indices, n: FloatArray, n_row: Indices, magnitude: FloatArray,
          extent: FloatArray, d: FloatArray, k: FloatArray, s: FloatArray) -> None:
    """See ``bounds._relax_numpy``, which defines it."""
    for r in range(c.shape[0]):
        low, high = lower[branch[r]], upper[branch[r]]
        positive, negative = p[p_row[r]], n[n_row[r]]
        total = 0.0
        size = 0.0
        for i in range(c.shape[1]):
            value = c[r, i]
            bottom = low[i]
            top = high[i]
            chosen = value * (positive[i] if value >= 0 else negative[i])
            d[r, i] = chosen
            at_low = value * (bottom if bottom >= 0 else slope[i] * bottom) - chosen * bottom
            at_high = value * (top if top >= 0 else slope[i] * top) - chosen * top
            least = at_low if at_low < at_high else at_high
            if bottom < 0 and top > 0 and least > 0:
                least = 0.0
            if at_low != at_low:  # noqa: PLR0124  a NaN must not get lost in the comparison above
                least = at_low
            total += least
            size += np.abs(chosen) * magnitude[i] + np.abs(value) * extent[i]
        k[r] += total
        s[r] += size
