"""Where the windows of a convolution or a pooling lie.

The answer is an array of element numbers, -1 standing for padding: numpy's sliding window view of the padded array of
element numbers.  ``affine.contract`` turns it into a matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from verifier.formats.affine import require_elements
from verifier.formats.errors import InputError
from verifier.formats.exact_arrays import IntArray


@dataclass(frozen=True)
class Windows:
    """The attributes that convolution and pooling share, one entry a spatial dimension."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @classmethod
    def of(cls, spatial: Sequence[int], kernel: Sequence[int], *, strides: Sequence[int] | None,
           dilations: Sequence[int] | None, pads: Sequence[int] | None, auto_pad: str) -> Windows:
        """Fill in the defaults for an input of the given spatial shape.  Raises InputError for values out of range."""
        rank = len(spatial)
        strides, dilations = strides or [1] * rank, dilations or [1] * rank
        for name, values in (("kernel_shape", kernel), ("strides", strides), ("dilations", dilations)):
            if len(values) != rank or min(values, default=1) < 1:
                raise InputError(f"{name} needs {rank} positive integers, received {list(values)}")
        reach = [dilation * (size - 1) + 1 for size, dilation in zip(kernel, dilations, strict=True)]
        if auto_pad == "NOTSET":
            pads = pads or [0] * (2 * rank)
            if len(pads) != 2 * rank or min(pads, default=0) < 0:
                raise InputError(f"pads needs {2 * rank} integers that are not negative, received {list(pads)}")
            before, after = tuple(pads[:rank]), tuple(pads[rank:])
        elif pads is not None and any(pads):
            raise InputError(f"pads must not be given together with auto_pad {auto_pad}")
        elif auto_pad == "VALID":
            before = after = (0,) * rank
        elif auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            total = [max((-(-size // stride) - 1) * stride + r - size, 0)
                     for size, stride, r in zip(spatial, strides, reach, strict=True)]
            less, more = tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
            before, after = (less, more) if auto_pad == "SAME_UPPER" else (more, less)
        else:
            raise InputError(f"auto_pad must be NOTSET, VALID, SAME_UPPER or SAME_LOWER, received {auto_pad!r}")
        if any(size + p + q < r for size, p, q, r in zip(spatial, before, after, reach, strict=True)):
            raise InputError(f"a window of {reach} does not fit in the padded input, "
                             f"{[size + p + q for size, p, q in zip(spatial, before, after, strict=True)]}")
        return cls(tuple(kernel), tuple(strides), tuple(dilations), before, after)

    def elements(self, shape: Sequence[int]) -> IntArray:
        """For an input of ``shape`` (batch, channels, *spatial) the numbers of the elements in each window, -1 for
        padding; shape (batch, channels, *output, *kernel)."""
        rank = len(self.kernel)
        padded = [size + p + q for size, p, q in zip(shape[2:], self.before, self.after, strict=True)]
        require_elements(shape[0] * shape[1] * prod(padded), "the padded input")
        numbers = np.pad(np.arange(prod(shape)).reshape(tuple(shape)),
                         [(0, 0), (0, 0), *zip(self.before, self.after, strict=True)], constant_values=-1)
        reach = tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations, strict=True))
        view = np.lib.stride_tricks.sliding_window_view(numbers, reach, axis=tuple(range(2, 2 + rank)))
        steps = [slice(None, None, step) for step in self.strides + self.dilations]
        return view[(slice(None), slice(None), *steps)]
