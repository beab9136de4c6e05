"""Double description over the rationals by cddlib: the only module that imports pycddlib.

Only ``cdd.gmp`` is used: the floating-point build is silently wrong on known inputs.  cddlib keeps global state, so a
lock serialises the calls.

*Double description* works on cones.  A polyhedron ``{x : b_i + a_i . x >= 0}`` is the slice ``t = 1`` of the cone
``{(t, x) : t >= 0, b_i t + a_i . x >= 0}``, so a constraint is a row ``(b, a)`` and a generator a row ``(1, v)`` (a
point) or ``(0, r)`` (a direction); each description is computed from the other by the same algorithm.

*Its linear programs are not used*, nor what solves some (``matrix_canonicalize``).  Before it pivots exactly, the
rational ``dd_LPSolve`` tries floats.  When that trial cycles it prints to standard error.  And its dual simplex method
adds a row, number m + 1; if rounding leaves that row in the basis, ``dd_BasisStatusMaximize``, which verifies the basis
in arrays for m rows, writes beyond their end.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

import cdd
import cdd.gmp

_LOCK = threading.Lock()


class Description(Enum):
    """What a table of rows describes a polyhedron by."""

    CONSTRAINTS = cdd.RepType.INEQUALITY
    GENERATORS = cdd.RepType.GENERATOR


@dataclass(frozen=True)
class Table:
    """Rows ``(b, a)`` or ``(t, v)``; the rows numbered in ``linear`` count in both directions: equations or lines."""

    rows: Sequence[Sequence[Fraction | int]]
    linear: Collection[int] = ()


def dual_description(table: Table, given: Description) -> Table:
    """Generators of the constraints, or constraints of the generators, by exact double description.

    The table needs a row.  The result is without redundancy up to the two conventions of cddlib: the constraint
    ``1 >= 0`` may be listed, and the apex 0 is left out when all constraints are homogeneous (``b = 0``).  No rows:
    the constraints contradict each other, or describe the point 0 by that second convention.
    """
    with _LOCK:
        output = cdd.gmp.copy_output(cdd.gmp.polyhedron_from_matrix(_matrix(table, given)))
        return Table([tuple(row) for row in output.array], frozenset(output.lin_set))


def _matrix(table: Table, given: Description) -> cdd.gmp.Matrix:
    return cdd.gmp.matrix_from_array(table.rows, rep_type=given.value, lin_set=set(table.linear))
