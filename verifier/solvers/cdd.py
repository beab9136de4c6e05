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

import math
import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

import cdd
import cdd.gmp

from verifier.solvers.child import interruptible

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


MOST_DIRECT = 50_000
"""Work that is done in this process: about half a second at most (by measurement, with rationals of 60 bits)."""


def dual_description(table: Table, given: Description) -> Table:
    """Generators of the constraints, or constraints of the generators, by exact double description.

    One call of foreign code does it, which cares neither for interrupts nor for time.  What may take long is therefore
    done by :func:`~verifier.solvers.child.interruptible`, whose exceptions it raises.

    The table needs a row.  The result is without redundancy up to the two conventions of cddlib: the constraint
    ``1 >= 0`` may be listed, and the apex 0 is left out when all constraints are homogeneous (``b = 0``).  No rows:
    the constraints contradict each other, or describe the point 0 by that second convention.
    """
    if work_bound(len(table.rows), len(table.rows[0]) - 1) > MOST_DIRECT:
        return interruptible(_converted, table, given)
    return _converted(table, given)


def work_bound(rows: int, dimension: int) -> int:
    """The number of rows times the most that their dual description can have, by McMullen's upper bound theorem: a
    polytope of dimension d with n vertices has at most as many facets as the cyclic one."""
    upper, lower = rows - (dimension + 1) // 2, rows - dimension // 2 - 1
    half = dimension // 2
    most = math.comb(max(upper, 0), half) + math.comb(max(lower, 0), (dimension - 1) // 2)
    return rows * max(most, 1)


def _converted(table: Table, given: Description) -> Table:
    with _LOCK, _long_numbers():
        output = cdd.gmp.copy_output(cdd.gmp.polyhedron_from_matrix(_matrix(table, given)))
        return Table([tuple(row) for row in output.array], frozenset(output.lin_set))


@contextmanager
def _long_numbers() -> Iterator[None]:
    """The wrapper hands numbers over as text, which Python refuses to make of more than 4,300 digits."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(before)


def _matrix(table: Table, given: Description) -> cdd.gmp.Matrix:
    return cdd.gmp.matrix_from_array(table.rows, rep_type=given.value, lin_set=set(table.linear))
