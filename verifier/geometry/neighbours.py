"""Which of many sets may touch a given one: bounding boxes in floating point, rounded outward.

A filter: what it leaves out is certainly disjoint, what it names is decided exactly by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import FloatArray


class Neighbours:
    """Boxes that can be asked for, replaced and removed.  ``lower`` and ``upper`` have shape (sets, n)."""

    def __init__(self, boxes: Sequence[Box]) -> None:
        corners = [box.outward_floats() for box in boxes]
        self.lower: FloatArray = np.array([lower for lower, _ in corners])
        self.upper: FloatArray = np.array([upper for _, upper in corners])

    def meeting(self, box: Box) -> list[int]:
        """The numbers of all sets, in order, whose boxes may meet ``box``."""
        if not len(self.lower):
            return []
        lower, upper = box.outward_floats()
        return [int(i) for i in np.flatnonzero((self.lower <= upper).all(axis=1) & (self.upper >= lower).all(axis=1))]

    def replace(self, index: int, box: Box) -> None:
        """Give set ``index`` another box."""
        self.lower[index], self.upper[index] = box.outward_floats()

    def remove(self, index: int) -> None:
        """Set ``index`` meets nothing any more."""
        self.lower[index], self.upper[index] = np.inf, -np.inf
