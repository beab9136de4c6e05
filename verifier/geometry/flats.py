r"""The cells into which hyperplanes cut an open convex set, counted without looking for a single cell.

Theory.  A *flat* is an intersection of hyperplanes that is not empty; all of space is one.  Ordered by reverse
inclusion flats have the Möbius function ``mu(space) = 1``, ``mu(F) = - sum of mu(G) over the flats G that strictly
contain F``.  Zaslavsky's theorem, for an open convex set K instead of all of space:

    cells of K  =  sum of |mu(F)| over the flats F that meet K.

Degenerate arrangements (parallel and concurrent hyperplanes) are what the Möbius function is for; repeated hyperplanes
are one.  In general position ``|mu| = 1``, and the sum counts the sets of hyperplanes that meet inside K.

Why, when cells can be enumerated: it is an independent way to the same number, and exact for one layer in any set of
which one can say whether it meets a flat.  Reference: Zaslavsky, *Facing up to arrangements* (1975).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from verifier.geometry.chart import Row
from verifier.geometry.homogeneous import rank, unsigned
from verifier.geometry.nearest import nearest_point
from verifier.kernel.polyhedron import Box
from verifier.solvers.rows import Rows
from verifier.solvers.two_lps import Witness, strict_feasibility

Meets = Callable[[Sequence[Row]], bool]
"""Whether the set in which all the rows vanish, which is not empty, meets the open convex set."""


def cells_by_flats(rows: Sequence[Row], meets: Meets) -> int:
    """The number of cells of the open set in the arrangement ``row . (u, 1) = 0``; constant rows are no hyperplanes."""
    planes = list(dict.fromkeys(unsigned(row) for row in rows if any(row[:-1])))
    moebius: dict[int, int] = {0: 1}
    level = {0: list[Row]()}
    while level:
        deeper: dict[int, list[Row]] = {}
        for mask, basis in level.items():
            for number, plane in enumerate(planes):
                if mask >> number & 1:
                    continue
                smaller = [*basis, plane]
                if rank([row[:-1] for row in smaller]) < len(smaller):
                    continue  # parallel to the flat
                closed = sum(1 << k for k, other in enumerate(planes) if rank([*smaller, other]) == len(smaller))
                if closed not in deeper and meets(smaller):
                    deeper[closed] = smaller
        for mask in deeper:
            moebius[mask] = -sum(value for other, value in moebius.items() if other & mask == other)
        level = deeper
    return sum(map(abs, moebius.values()))


def meets_open_unit_ball(rows: Sequence[Row]) -> bool:
    """Whether the flat has a point with ``|u| < 1``."""
    both = [signed for row in rows for signed in (row, tuple(-v for v in row))]
    return nearest_point(both, len(rows[0]) - 1, Fraction(1)) is not None


def meets_interior(domain: Sequence[Row]) -> Meets:
    """Whether a flat meets the interior of ``{row . (u, 1) <= 0 for the rows of the domain}``."""
    def meets(rows: Sequence[Row]) -> bool:
        dimension = len(rows[0]) - 1
        weak = [(*(sign * v for v in row[:-1]), -sign * row[-1]) for row in rows for sign in (1, -1)]
        strict = [(*row[:-1], -row[-1]) for row in domain]
        flags = (False,) * len(weak) + (True,) * len(strict)
        found = strict_feasibility(Rows.from_integers([*weak, *strict], dimension), flags, Box.whole_space(dimension))
        return isinstance(found, Witness)

    return meets
