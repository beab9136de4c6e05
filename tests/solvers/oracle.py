"""Random small problems, and an independent opinion on them: cddlib directly, proofs by schoolbook fractions."""

from collections.abc import Sequence
from fractions import Fraction

import cdd
import cdd.gmp
import numpy as np

from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Matrix

Row = tuple[Fraction, ...]


def random_problem(rng: np.random.Generator, kind: str) -> tuple[list[Fraction], Matrix, list[bool], Box]:
    """Objective, rows, flags and box with zero, repeated and negated rows, fixed and free variables.

    ``kind``: "integer" is degenerate, "nearly" is degenerate up to 2^-40, "thirds" has no finite binary form.
    """
    n, m = int(rng.integers(0, 5)), int(rng.integers(0, 10))
    rows = [[Fraction(int(v)) for v in rng.integers(-2, 3, size=n + 1)] for _ in range(m)]
    if kind == "nearly":
        rows = [[v + Fraction(int(rng.integers(-3, 4)), 2**40) for v in row] for row in rows]
    if kind == "thirds":
        rows = [[v / int(rng.integers(1, 8)) for v in row] for row in rows]
    if m > 3:
        rows[1] = list(rows[0])
        zero_row = [Fraction(0)] * n + [Fraction(int(rng.integers(-1, 2)))]
        rows[2] = [-v for v in rows[0]] if rng.random() < 0.5 else zero_row
    lower = tuple(None if rng.random() < 0.4 else Fraction(int(rng.integers(-3, 1))) for _ in range(n))
    upper = tuple(None if rng.random() < 0.4 else Fraction(int(rng.integers(0, 3))) for _ in range(n))
    objective = [Fraction(int(v)) for v in rng.integers(-2, 3, size=n)]
    return objective, Matrix.from_rationals(rows, n + 1), [bool(v) for v in rng.random(m) < 0.3], Box(lower, upper)


def box_rows(box: Box) -> list[Row]:
    """The bounds as rows ``(a, b)``."""
    rows = []
    for j in range(box.dimension):
        unit = [Fraction(int(i == j)) for i in range(box.dimension)]
        if box.upper[j] is not None:
            rows.append((*unit, box.upper[j]))
        if box.lower[j] is not None:
            rows.append((*(-u for u in unit), -box.lower[j]))
    return rows


def cdd_maximum(objective: Sequence[Fraction], rows: Sequence[Row]) -> Fraction | str:
    """``max objective . x`` over the inequalities, or "infeasible" or "unbounded"."""
    def run(cost):
        table = [[row[-1], *(-a for a in row[:-1])] for row in rows] or [[1] + [0] * len(cost)]
        matrix = cdd.gmp.matrix_from_array(table, rep_type=cdd.RepType.INEQUALITY, obj_type=cdd.LPObjType.MAX,
                                           obj_func=[0, *cost])
        program = cdd.gmp.linprog_from_matrix(matrix)
        cdd.gmp.linprog_solve(program, cdd.LPSolverType.CRISS_CROSS)
        return program

    if run([Fraction(0)] * len(objective)).status != cdd.LPStatusType.OPTIMAL:
        return "infeasible"
    program = run(objective)
    return program.obj_value if program.status == cdd.LPStatusType.OPTIMAL else "unbounded"


def inner(left: Sequence[Fraction], right: Sequence[Fraction]) -> Fraction:
    assert len(left) == len(right)
    return sum((a * b for a, b in zip(left, right, strict=True)), Fraction(0))


def dual_value(objective: Sequence[Fraction], rows: Sequence[Row], box: Box,
               multipliers: Sequence[Fraction]) -> Fraction | None:
    """The infimum over the box of ``objective . x + sum m_i (a_i . x - b_i)``; None for minus infinity."""
    assert len(multipliers) == len(rows)
    total = -sum((m * row[-1] for m, row in zip(multipliers, rows, strict=True)), Fraction(0))
    for j, c in enumerate(objective):
        coefficient = c + sum((m * row[j] for m, row in zip(multipliers, rows, strict=True)), Fraction(0))
        bound = box.lower[j] if coefficient > 0 else box.upper[j]
        if coefficient != 0 and bound is None:
            return None
        total += coefficient * bound if coefficient != 0 else 0
    return total
