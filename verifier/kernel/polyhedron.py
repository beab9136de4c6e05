"""Half-spaces, boxes and membership: the sets in which inputs live.

A :class:`Box` is closed and may be unbounded; strictness lives in the half-spaces, where it is data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from verifier.kernel.rational import FloatArray, Point, ceil_float, dot, floor_float, to_fraction, to_text


@dataclass(frozen=True)
class HalfSpace:
    """``normal . v <= offset``, or ``< offset`` when ``strict``."""

    normal: Point
    offset: Fraction
    strict: bool = False

    def contains(self, point: Sequence[Fraction]) -> bool:
        """Exact membership."""
        value = dot(self.normal, point)
        return value < self.offset if self.strict else value <= self.offset

    def encode(self) -> str:
        """Canonical text."""
        return f"{' '.join(map(to_text, self.normal))} {'<' if self.strict else '<='} {to_text(self.offset)}"


@dataclass(frozen=True)
class Box:
    """The closed box ``lower <= x <= upper``; None means no bound on that side.

    Raises ValueError when the lengths differ or a lower bound exceeds its upper bound.
    """

    lower: tuple[Fraction | None, ...]
    upper: tuple[Fraction | None, ...]

    def __post_init__(self) -> None:
        if len(self.lower) != len(self.upper):
            raise ValueError("a box needs as many lower as upper bounds, "
                             f"received {len(self.lower)} and {len(self.upper)}")
        for index, (lo, hi) in enumerate(zip(self.lower, self.upper, strict=True)):
            if lo is not None and hi is not None and lo > hi:
                raise ValueError(f"input {index}: lower bound {to_text(lo)} exceeds upper bound {to_text(hi)}")

    @classmethod
    def from_bounds(cls, lower: Sequence[Fraction | int | float], upper: Sequence[Fraction | int | float]) -> Box:
        """The bounded box with the given corners (floats are taken exactly)."""
        return cls(tuple(map(to_fraction, lower)), tuple(map(to_fraction, upper)))

    @classmethod
    def whole_space(cls, dimension: int) -> Box:
        """All of R^n."""
        return cls((None,) * dimension, (None,) * dimension)

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        return len(self.lower)

    @cached_property
    def is_bounded(self) -> bool:
        """Whether every coordinate has both bounds."""
        return None not in self.lower and None not in self.upper

    def contains(self, point: Sequence[Fraction]) -> bool:
        """Exact membership."""
        return len(point) == self.dimension and all(
            (lo is None or lo <= v) and (hi is None or v <= hi)
            for lo, v, hi in zip(self.lower, point, self.upper, strict=True))

    def minimum(self, objective: Sequence[Fraction]) -> Fraction | None:
        """``inf {objective . x : x in the box}``, exactly; None means minus infinity."""
        corner = []
        for c, lo, hi in zip(objective, self.lower, self.upper, strict=True):
            bound = Fraction(0) if c == 0 else lo if c > 0 else hi
            if bound is None:
                return None
            corner.append(bound)
        return dot(objective, corner)

    def outward_floats(self) -> tuple[FloatArray, FloatArray]:
        """The smallest box with binary64 corners (infinities included) that contains this one."""
        lower = [-np.inf if v is None else floor_float(v) for v in self.lower]
        upper = [np.inf if v is None else ceil_float(v) for v in self.upper]
        return np.array(lower), np.array(upper)

    def encode(self) -> str:
        """Canonical text, one line a coordinate."""
        return "\n".join(f"{'-inf' if lo is None else to_text(lo)} {'inf' if hi is None else to_text(hi)}"
                         for lo, hi in zip(self.lower, self.upper, strict=True))
