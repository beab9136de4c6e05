r"""Balls in the 1-, 2- and maximum norm, and which cells meet the Euclidean one.

A ball in the maximum norm is a box, one in the 1-norm a box with ``2^n`` rows: polytopes both.  The Euclidean ball is
looked at inside the box around it, whose chart (:mod:`verifier.geometry.chart`) makes it the unit ball ``|u| < 1``.

*A closed full-dimensional cell C meets the open ball in a set with interior exactly if it meets it at all*, that is if
its squared distance from the centre is less than the squared radius; touching is not meeting.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from verifier.geometry.chart import Homogeneous, Row, integral
from verifier.geometry.nearest import nearest_point
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.rational import Point

Norm = Literal["1", "2", "inf"]
MOST_L1_INPUTS = 12


@dataclass(frozen=True)
class Ball:
    """``{x : |x - centre| <= radius}``; counts are the same for the open ball.

    Raises ValueError for another norm, a radius that is not positive, and more than MOST_L1_INPUTS inputs with the
    1-norm, whose ball has ``2^n`` facets.
    """

    centre: Point
    radius: Fraction
    norm: Norm

    def __post_init__(self) -> None:
        if self.norm not in ("1", "2", "inf"):
            raise ValueError(f'a norm is "1", "2" or "inf", received {self.norm!r}')
        if self.radius <= 0:
            raise ValueError(f"a ball needs a radius > 0, received {self.radius}")
        if self.norm == "1" and self.dimension > MOST_L1_INPUTS:
            raise ValueError(f"a ball in the 1-norm has 2^n facets and is cut out for up to {MOST_L1_INPUTS} inputs, "
                             f"received {self.dimension}")

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        return len(self.centre)

    @property
    def box(self) -> Box:
        """The smallest box around it."""
        return Box(tuple(c - self.radius for c in self.centre), tuple(c + self.radius for c in self.centre))

    @property
    def rows(self) -> tuple[HalfSpace, ...]:
        """What cuts a ball of the 1-norm out of its box; nothing for the others."""
        if self.norm != "1" or self.dimension == 1:
            return ()
        signs = itertools.product((Fraction(1), Fraction(-1)), repeat=self.dimension)
        return tuple(HalfSpace(s, self.radius + sum((a * c for a, c in zip(s, self.centre, strict=True)), Fraction(0)))
                     for s in signs)

    def reach_squared(self, normal: Sequence[Fraction]) -> Fraction:
        """The square of ``sup {normal . (x - centre)}``: of the radius times the dual norm."""
        sizes = [abs(a) for a in normal]
        if self.norm == "2":
            return self.radius**2 * sum((a * a for a in sizes), Fraction(0))
        dual = max(sizes, default=Fraction(0)) if self.norm == "1" else sum(sizes, Fraction(0))
        return (self.radius * dual) ** 2


def point_in_unit_ball(rows: Sequence[Row], interior: Homogeneous) -> Homogeneous | None:
    """A point with ``|u| < 1`` at which all rows are positive, or None when there is none.

    ``interior`` is any point at which they are.  The way from the nearest point of the closed set towards it consists,
    but for its beginning, of interior points, and begins inside the ball if any point is there.
    """
    if _squared(interior) < interior[-1] ** 2:
        return interior
    foot = nearest_point(rows, len(interior) - 1, Fraction(1))
    if foot is None:
        return None
    towards = [Fraction(v, interior[-1]) - f for v, f in zip(interior, foot, strict=False)]
    step = Fraction(1, 2)
    while True:
        point = [f + step * d for f, d in zip(foot, towards, strict=True)]
        if sum((v * v for v in point), Fraction(0)) < 1:
            return integral([*point, Fraction(1)])
        step /= 4


def _squared(point: Homogeneous) -> int:
    return sum(v * v for v in point[:-1])
