"""Linear programs and double description over the rationals by cddlib: the only module that imports pycddlib.

Only ``cdd.gmp`` is used: the floating-point build is silently wrong on known inputs.  cddlib keeps global state, so a
lock serialises the calls.

*Double description* works on cones.  A polyhedron ``{x : b_i + a_i . x >= 0}`` is the slice ``t = 1`` of the cone
``{(t, x) : t >= 0, b_i t + a_i . x >= 0}``, so a constraint is a row ``(b, a)`` and a generator a row ``(1, v)`` (a
point) or ``(0, r)`` (a direction); each description is computed from the other by the same algorithm.

The exact simplex method of cddlib is correct in theory but its statuses overlap ("dual inconsistent" is also said of
infeasible problems), and its signs depend on the sense of the objective.  Hence the narrow use here: it is handed
problems that are feasible and bounded by construction, always as a maximisation, and what it returns is a proposal of
a point and multipliers that the caller proves.
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


@dataclass(frozen=True)
class ExactProposal:
    """A point, and one multiplier for each row that was passed in."""

    x: tuple[Fraction, ...]
    multipliers: tuple[Fraction, ...]


def solve_exact(objective: Sequence[Fraction], rows: Sequence[Sequence[Fraction]],
                criss_cross: bool = False) -> ExactProposal | None:
    """Minimise ``objective . x`` subject to ``a . x <= b`` for each row ``(a_1, ..., a_n, b)``.

    Exact pivots by the dual simplex method, or by the criss-cross method, which needs no feasible start and cannot
    cycle.  Returns None when cddlib does not claim an optimum.  The multipliers ``m >= 0`` it proposes satisfy
    ``objective + sum m_i a_i = 0``.
    """
    table = [[row[-1], *(-a for a in row[:-1])] for row in rows] or [[Fraction(1)] + [Fraction(0)] * len(objective)]
    solver = cdd.LPSolverType.CRISS_CROSS if criss_cross else cdd.LPSolverType.DUAL_SIMPLEX
    with _LOCK:
        matrix = cdd.gmp.matrix_from_array(table, rep_type=cdd.RepType.INEQUALITY, obj_type=cdd.LPObjType.MAX,
                                           obj_func=[Fraction(0), *(-c for c in objective)])
        program = cdd.gmp.linprog_from_matrix(matrix)
        cdd.gmp.linprog_solve(program, solver)
        if program.status != cdd.LPStatusType.OPTIMAL:
            return None
        multipliers = dict(program.dual_solution)
        x = tuple(program.primal_solution)
    return ExactProposal(x, tuple(multipliers.get(i, Fraction(0)) for i in range(len(rows))))


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


def without_redundancy(constraints: Table) -> Table:
    """A minimal subset of the constraints of a nonempty polyhedron, implicit equations found, by exact linear programs.

    It needs no generators, whose number may be exponential.  On an empty set the answer has no meaning.
    """
    with _LOCK:
        matrix = _matrix(constraints, Description.CONSTRAINTS)
        cdd.gmp.matrix_canonicalize(matrix)
        return Table([tuple(row) for row in matrix.array], frozenset(matrix.lin_set))


def _matrix(table: Table, given: Description) -> cdd.gmp.Matrix:
    return cdd.gmp.matrix_from_array(table.rows, rep_type=given.value, lin_set=set(table.linear))
