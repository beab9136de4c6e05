"""Linear programs over the rationals by cddlib: the only module that imports pycddlib.

Only ``cdd.gmp`` is used: the floating-point build is silently wrong on known inputs.  cddlib keeps global state, so a
lock serialises the calls.

The exact simplex method of cddlib is correct in theory but its statuses overlap ("dual inconsistent" is also said of
infeasible problems), and its signs depend on the sense of the objective.  Hence the narrow use here: it is handed
problems that are feasible and bounded by construction, always as a maximisation, and what it returns is a proposal of
a point and multipliers that the caller proves.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
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
