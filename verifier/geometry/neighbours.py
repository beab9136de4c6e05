"""Which of many sets may touch a given one: bounding boxes in floating point, rounded outward.

A filter: what it leaves out is certainly disjoint, what it names is decided exactly by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import FloatArray


class Neighbours:
    """Boxes that can be asked for, replaced and removed.

    ``lower`` and ``upper`` have shape (n, sets): a question goes through them coordinate by coordinate.
    """

    def __init__(self, boxes: Sequence[Box]) -> None:
        corners = [box.outward_floats() for box in boxes]
        self.lower: FloatArray = np.array([lower for lower, _ in corners]).T.copy()
        self.upper: FloatArray = np.array([upper for _, upper in corners]).T.copy()

    def meeting(self, box: Box) -> list[int]:
        """The numbers of all sets, in order, whose boxes may meet ``box``."""
        near: npt.NDArray[np.bool_] | None = None
        for below, above, lower, upper in zip(self.lower, self.upper, *box.outward_floats(), strict=False):
            meets = (below <= upper) & (above >= lower)
            near = meets if near is None else near & meets
        return [] if near is None else np.flatnonzero(near).tolist()

    def replace(self, index: int, box: Box) -> None:
        """Give set ``index`` another box."""
        self.lower[:, index], self.upper[:, index] = box.outward_floats()

    def remove(self, index: int) -> None:
        """Set ``index`` meets nothing any more."""
        self.lower[:, index], self.upper[:, index] = np.inf, -np.inf
