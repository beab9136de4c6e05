r"""The affine hull of an input domain, with exact coordinates.

Theory.  Let K be the polyhedron of a box and rows ``a . x <= b``.  A row is an *implicit equation* when every point of
K satisfies it with equality; the affine hull of K is cut out by these.  They are found by asking for a point that
satisfies every row strictly.  If there is one, K is full-dimensional.  If not, :mod:`verifier.solvers.two_lps` returns
multipliers ``m >= 0`` for which ``sum m_i (a_i . x - b_i)`` is a constant ``L >= 0``.  On K no term is positive, so
``L > 0`` means that K is empty, and ``L = 0`` that every row with ``m_i > 0`` is an implicit equation.  Some
coordinates are expressed by the others, and the question is put again in fewer dimensions: at most n + 1 times.

A :class:`Chart` is the result: ``x = origin + basis u``, where the coordinates ``u`` are the remaining inputs, moved
and scaled so that an input with two bounds runs over [-1, 1].  That scaling is exact; it keeps the error analysis of
:mod:`verifier.geometry.filtered_network` short.  Domains that are flat in the inputs are full-dimensional in the
chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

from flint import fmpz_mat

from verifier.kernel.cell_maps import Homogeneous, Row, primitive
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.rational import Matrix, Point, common_denominator
from verifier.solvers.two_lps import Refutation, strict_feasibility

__all__ = ["Chart", "DomainFacet", "EmptyDomainError", "Homogeneous", "Row", "chart_of", "integral", "primitive"]


class EmptyDomainError(ValueError):
    """The domain has no points at all."""


class DomainFacet(NamedTuple):
    """Where a row of the domain comes from: ``kind`` is "lower" or "upper" (a bound of input ``number``), or "row"."""

    kind: str
    number: int


@dataclass(frozen=True)
class Chart:
    """Coordinates of the domain's affine hull.

    ``table`` has shape (n + 1, k + 1): ``x_i = table[i] . (u, 1) / denominator``; its last row is ``(0, ..., 0,
    denominator)``.  The domain is ``row . (u, 1) <= 0`` for all ``rows``; ``facets`` says where each comes from.
    ``bounded`` tells for each coordinate whether ``-1 <= u_j <= 1`` are the first rows of that coordinate.
    """

    table: fmpz_mat
    denominator: int
    rows: tuple[Row, ...]
    facets: tuple[DomainFacet, ...]
    bounded: tuple[bool, ...]

    @property
    def dimension(self) -> int:
        """Dimension k of the domain."""
        return len(self.bounded)

    @property
    def box(self) -> Box:
        """The box of the coordinates: [-1, 1] where there are two bounds."""
        return Box(tuple(Fraction(-1) if b else None for b in self.bounded),
                   tuple(Fraction(1) if b else None for b in self.bounded))

    def point(self, u: Homogeneous) -> Point:
        """The input with chart coordinates ``u``."""
        column = self.table * fmpz_mat(len(u), 1, list(u))
        *x, q = (int(v) for v in column.entries())
        return tuple(Fraction(v, q) for v in x)

    @cached_property
    def _scales(self) -> tuple[tuple[int, Fraction, Fraction], ...]:
        """For every coordinate ``(i, scale, shift)`` with ``x_i = scale u_j + shift``."""
        found: dict[int, tuple[int, Fraction, Fraction]] = {}
        for i, row in enumerate(self.table.tolist()[:-1]):
            used = [j for j, v in enumerate(row[:-1]) if v]
            if len(used) == 1:
                found[used[0]] = (i, Fraction(int(row[used[0]]), self.denominator),
                                  Fraction(int(row[-1]), self.denominator))
        return tuple(found[j] for j in range(self.dimension))

    def coordinates(self, x: Sequence[Fraction]) -> Point:
        """The chart coordinates of a point of the affine hull: every one is an input, moved and scaled."""
        return tuple((x[i] - shift) / scale for i, scale, shift in self._scales)

    def over_inputs(self, function: Sequence[Fraction | int]) -> tuple[Point, Fraction]:
        """``(normal, constant)`` with ``normal . x + constant = function . (u, 1)`` on the affine hull."""
        normal = [Fraction(0)] * (self.table.nrows() - 1)
        constant = Fraction(function[-1])
        for a, (i, scale, shift) in zip(function, self._scales, strict=False):
            normal[i] = a / scale
            constant -= normal[i] * shift
        return tuple(normal), constant

    def linear(self) -> tuple[list[list[Fraction]], list[Fraction]]:
        """``(basis, origin)``: rows of the n x k matrix and the n coordinates of the origin."""
        rows = [[Fraction(int(v), self.denominator) for v in row] for row in self.table.tolist()[:-1]]
        return [row[:-1] for row in rows], [row[-1] for row in rows]

    def inverse(self) -> tuple[list[list[Fraction]], list[Fraction]]:
        """``(weight, constant)`` with ``u = weight x + constant`` on the affine hull: k x n and k numbers."""
        rows = self.table.tolist()[:-1]
        weight, constant = [], []
        for j in range(self.dimension):
            # an input that was kept depends on its own coordinate alone
            i = next(i for i, row in enumerate(rows) if all(bool(v) == (k == j) for k, v in enumerate(row[:-1])))
            slope = Fraction(self.denominator, int(rows[i][j]))
            weight.append([slope * (k == i) for k in range(len(rows))])
            constant.append(-Fraction(int(rows[i][-1]), int(rows[i][j])))
        return weight, constant

    @cached_property
    def over_ones(self) -> fmpz_mat:
        """The integer matrix of shape (k + 1, n + 1) that takes ``(1, x)`` to a positive multiple of ``(u, 1)``, on the
        affine hull: functions of chart coordinates times it are functions of inputs, constants first."""
        weight, constant = self.inverse()
        rows = [[c, *row] for row, c in zip(weight, constant, strict=True)]
        rows.append([Fraction(1)] + [Fraction(0)] * (self.table.nrows() - 1))
        scale = common_denominator([v for row in rows for v in row])
        return fmpz_mat(len(rows), len(rows[0]), [v.numerator * (scale // v.denominator) for row in rows for v in row])

    @cached_property
    def hull(self) -> tuple[Row, ...]:
        """The :meth:`equations` as integers ``(-b, a)``, which vanish at ``(1, x)`` on the affine hull."""
        return tuple(integral([-row[-1], *row[:-1]]) for row in self.equations())

    def equations(self) -> list[list[Fraction]]:
        """Rows ``(a, b)`` with ``a . x = b`` whose solutions are the affine hull; some may be repeated in effect."""
        basis, origin = self.linear()
        weight, constant = self.inverse()
        found = []
        for i, (row, start) in enumerate(zip(basis, origin, strict=True)):
            normal = [Fraction(k == i) for k in range(len(basis))]
            offset = start
            for value, back, shift in zip(row, weight, constant, strict=True):
                normal = [v - value * w for v, w in zip(normal, back, strict=True)]
                offset += value * shift
            if any(normal):
                found.append([*normal, offset])
        return found


def integral(values: Sequence[Fraction]) -> tuple[int, ...]:
    """The smallest positive multiple that is integral."""
    scale = common_denominator(values)
    return primitive([v.numerator * (scale // v.denominator) for v in values])


def chart_of(box: Box, rows: Sequence[HalfSpace] = ()) -> Chart:
    """The chart of ``{x in box: every row}``.

    Raises EmptyDomainError when there is no such x, ValueError when a row has another dimension or is strict (cells are
    closed, so a strict row is not part of what is asked).
    """
    inputs = box.dimension
    for row in rows:
        if len(row.normal) != inputs:
            raise ValueError(f"the box has {inputs} coordinates but a row of the domain has {len(row.normal)}")
        if row.strict:
            raise ValueError("the rows of a domain of cells are weak (<=), received a strict one")
    labelled: list[tuple[DomainFacet, list[Fraction]]] = []
    for i, (lo, hi) in enumerate(zip(box.lower, box.upper, strict=True)):
        for kind, sign, bound in (("lower", -1, lo), ("upper", 1, hi)):
            if bound is not None:
                labelled.append((DomainFacet(kind, i), [Fraction(sign * (i == j)) for j in range(inputs)]
                                 + [-sign * bound]))
    labelled += [(DomainFacet("row", r), [*row.normal, -row.offset]) for r, row in enumerate(rows)]

    # x_i = affine[i] . (x of the kept inputs, 1)
    kept = list(range(inputs))
    affine = [[Fraction(i == j) for j in range(inputs)] + [Fraction(0)] for i in range(inputs)]
    fixed = [i for i, (lo, hi) in enumerate(zip(box.lower, box.upper, strict=True)) if lo is not None and lo == hi]
    equations = [[Fraction(i == j) for j in range(inputs)] + [-_bound(box.lower[i])] for i in fixed]
    while True:
        if equations:
            kept, affine, labelled = _substitute(equations, kept, affine, labelled)
        remaining = []
        for label, function in labelled:
            if any(function[:-1]):
                remaining.append((label, function))
            elif function[-1] > 0:
                raise EmptyDomainError("the domain is empty: its constraints contradict each other")
        labelled = remaining
        if not any(label.kind == "row" for label, _ in labelled) and len(labelled) <= 2 * len(kept):
            break  # a box with lower < upper
        found = strict_feasibility(
            Matrix.from_rationals([[*f[:-1], -f[-1]] for _, f in labelled], len(kept) + 1),
            (True,) * len(labelled), Box.whole_space(len(kept)))
        if not isinstance(found, Refutation):
            break
        used = [(m, f) for m, (_, f) in zip(found.multipliers, labelled, strict=True) if m > 0]
        if sum((m * f[-1] for m, f in used), Fraction(0)) > 0:
            raise EmptyDomainError("the domain is empty: its constraints contradict each other")
        equations = [f for _, f in used]
    return _scaled(box, kept, affine, labelled)


def _bound(value: Fraction | None) -> Fraction:
    assert value is not None
    return value


Labelled = list[tuple[DomainFacet, list[Fraction]]]


def _substitute(equations: list[list[Fraction]], kept: list[int], affine: list[list[Fraction]], labelled: Labelled
                ) -> tuple[list[int], list[list[Fraction]], Labelled]:
    """Express some of the kept inputs by the others, through ``equation . (x, 1) = 0``."""
    size = len(kept)
    solved: dict[int, list[Fraction]] = {}  # column -> its equation, with coefficient 1 there and 0 in other keys
    for equation in equations:
        row = list(equation)
        for column, other in solved.items():
            if row[column]:
                row = [v - row[column] * w for v, w in zip(row, other, strict=True)]
        pivot = next((j for j in range(size) if row[j]), None)
        if pivot is None:
            if row[-1]:
                raise EmptyDomainError("the domain is empty: its constraints contradict each other")
            continue
        row = [v / row[pivot] for v in row]
        solved = {c: [v - other[pivot] * w for v, w in zip(other, row, strict=True)] for c, other in solved.items()}
        solved[pivot] = row
    free = [j for j in range(size) if j not in solved]

    def reduced(function: list[Fraction]) -> list[Fraction]:
        for column, other in solved.items():
            if function[column]:
                function = [v - function[column] * w for v, w in zip(function, other, strict=True)]
        return [function[j] for j in free] + [function[-1]]

    return ([kept[j] for j in free], [reduced(f) for f in affine], [(label, reduced(f)) for label, f in labelled])


def _scaled(box: Box, kept: list[int], affine: list[list[Fraction]], labelled: Labelled) -> Chart:
    """Move and scale the kept inputs: two bounds become [-1, 1], a single bound becomes 0."""
    shift, scale = [], []
    for i in kept:
        lo, hi = box.lower[i], box.upper[i]
        both = lo is not None and hi is not None
        shift.append((_bound(lo) + _bound(hi)) / 2 if both else lo if lo is not None else hi or Fraction(0))
        scale.append((_bound(hi) - _bound(lo)) / 2 if both else Fraction(1))

    def moved(function: list[Fraction]) -> list[Fraction]:
        constant = function[-1] + sum((a * s for a, s in zip(function, shift, strict=False)), Fraction(0))
        return [a * s for a, s in zip(function, scale, strict=False)] + [constant]

    table = [moved(f) for f in affine] + [[Fraction(0)] * len(kept) + [Fraction(1)]]
    denominator = common_denominator([v for row in table for v in row])
    flat = [v.numerator * (denominator // v.denominator) for row in table for v in row]
    bounded = tuple(box.lower[i] is not None and box.upper[i] is not None for i in kept)
    return Chart(fmpz_mat(len(table), len(kept) + 1, flat), denominator,
                 tuple(integral(moved(f)) for _, f in labelled), tuple(label for label, _ in labelled), bounded)
